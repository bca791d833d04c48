//! The tree that a machine boots from: a small Debian, made once by debootstrap under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mta::packages::{self, Set};

/// The release: it has the oldest systemd that the package is for.
const SUITE: &str = "bookworm";
/// What it has beside the smallest set.
const INCLUDE: &str = "systemd,systemd-sysv,logrotate,iproute2";
/// What makes it.
const DEBOOTSTRAP: Set = Set { name: "debootstrap", packages: &["debootstrap"], programs: &[] };

/// The tree, made if it is not there yet (about a minute). `folder` is what it lies in.
///
/// # Errors
/// In words, when it cannot be had.
pub fn tree(folder: &Path) -> Result<PathBuf, String> {
    let tree = folder.join(SUITE);
    let stamp = folder.join(format!("{SUITE}.made"));
    let recipe = format!("{SUITE} {INCLUDE}");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == recipe) {
        return Ok(tree);
    }
    let shown = |error: std::io::Error| format!("{}: {error}", tree.display());
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(shown)?;
    }
    let tool = packages::tree(folder, DEBOOTSTRAP)?;
    let mut command = Command::new(tool.join("usr/sbin/debootstrap"));
    command.env("DEBOOTSTRAP_DIR", tool.join("usr/share/debootstrap"));
    command.arg("--variant=minbase").arg(format!("--include={INCLUDE}")).arg(SUITE).arg(&tree);
    // Without a mirror it takes its own default. It says what went wrong on standard output.
    if let Err(error) = packages::run(command.args(mirror())) {
        let log = fs::read_to_string(tree.join("debootstrap/debootstrap.log")).unwrap_or_default();
        return Err(format!("{error}; {}", log.lines().last().unwrap_or("it left no log")));
    }
    // A machine is not to ask anybody for updates, nor to wait for a terminal.
    let etc = tree.join("etc");
    for unit in ["apt-daily.timer", "apt-daily-upgrade.timer", "systemd-journald-audit.socket"] {
        let path = etc.join("systemd/system").join(unit);
        std::os::unix::fs::symlink("/dev/null", path).map_err(shown)?;
    }
    // Packages wait in the cache for nothing.
    let _ = fs::remove_dir_all(tree.join("var/cache/apt/archives"));
    fs::write(stamp, recipe).map_err(shown)?;
    Ok(tree)
}

/// The Debian mirror that this host's apt uses, if it is one of Debian's.
fn mirror() -> Option<String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Created-By: Packages"]);
    let targets = packages::run(&mut apt).ok()?;
    targets.lines().find(|mirror| !mirror.contains("security")).map(str::to_owned)
}
