//! The servers' packages: fetched with `apt-get download`, unpacked under `target/mta`, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A set of packages that is unpacked into one tree.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// Name of the tree's folder.
    pub name: &'static str,
    /// The packages; libraries that they need and the machine lacks are added.
    pub packages: &'static [&'static str],
    /// Programs that other packages bring, needed only if the machine lacks them: (program, package).
    pub programs: &'static [(&'static str, &'static str)],
}

/// Capturing, the network, certificates.
pub const TOOLS: Set = Set {
    name: "tools",
    packages: &["tcpdump"],
    programs: &[("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux")],
};
/// Postfix.
pub const POSTFIX: Set =
    Set { name: "postfix", packages: &["postfix", "cpio"], programs: &[("openssl", "openssl")] };
/// Exim.
pub const EXIM: Set = Set {
    name: "exim",
    packages: &["exim4-base", "exim4-config", "exim4-daemon-light"],
    programs: &[],
};
/// OpenSMTPD.
pub const OPENSMTPD: Set = Set { name: "opensmtpd", packages: &["opensmtpd"], programs: &[] };

/// The tree of a set under `root`, fetched if it is not there yet.
///
/// # Errors
/// In words, when a package cannot be had.
pub fn tree(root: &Path, set: Set) -> Result<PathBuf, String> {
    let tree = root.join("trees").join(set.name);
    let mut wanted: Vec<String> = set.packages.iter().map(|name| (*name).to_owned()).collect();
    for (program, package) in set.programs {
        if find_program(program).is_none() {
            wanted.push((*package).to_owned());
        }
    }
    // The tree appears under its name only when it is whole.
    let stamp = tree.join(".packages");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == wanted.join(" ")) {
        return Ok(tree);
    }
    let shown = |error: std::io::Error| format!("{}: {error}", tree.display());
    let debs = root.join("debs").join(set.name);
    for old in [&tree, &debs] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(shown)?;
        }
    }
    fs::create_dir_all(&debs).map_err(shown)?;
    let apt = Apt::find(root, &wanted)?;
    let libraries = apt.missing_libraries(&wanted);
    apt.run(
        "apt-get",
        &debs,
        ["download"].into_iter().chain(wanted.iter().chain(&libraries).map(String::as_str)),
    )?;
    fs::create_dir_all(&tree).map_err(shown)?;
    for entry in fs::read_dir(&debs).map_err(shown)? {
        let deb = entry.map_err(shown)?.path();
        run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree))?;
    }
    merge_usr(&tree)?;
    fs::write(stamp, wanted.join(" ")).map_err(shown)?;
    Ok(tree)
}

/// A package that still ships files under `/lib` would hide the machine's link `/lib` → `/usr/lib`.
fn merge_usr(tree: &Path) -> Result<(), String> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        let (old, new) = (tree.join(name), tree.join("usr").join(name));
        if old.is_dir() && Path::new("/").join(name).is_symlink() {
            fs::create_dir_all(&new).map_err(|error| error.to_string())?;
            run(Command::new("cp").arg("-a").arg(old.join(".")).arg(&new))?;
            fs::remove_dir_all(&old).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// The system's apt, with its own lists of packages or, if they are empty or stale, with lists of ours.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn find(root: &Path, wanted: &[String]) -> Result<Self, String> {
        let system = Self { options: Vec::new() };
        let scratch = root.join("apt");
        fs::create_dir_all(scratch.join("lists/partial")).map_err(|error| error.to_string())?;
        fs::create_dir_all(scratch.join("cache/archives/partial"))
            .map_err(|error| error.to_string())?;
        let probe = |apt: &Self| {
            let names =
                ["download", "--print-uris"].into_iter().chain(wanted.iter().map(String::as_str));
            apt.run("apt-get", root, names)
        };
        let fresh = |apt: &Self| probe(apt).is_ok_and(|_| apt.current(root, wanted));
        if fresh(&system) {
            return Ok(system);
        }
        let own = Self {
            options: vec![
                format!("-oDir::State::lists={}", scratch.join("lists").display()),
                format!("-oDir::Cache={}", scratch.join("cache").display()),
            ],
        };
        own.run("apt-get", root, ["update", "-q"])?;
        probe(&own)?;
        Ok(own)
    }

    /// Whether a first package can be fetched at the version that the lists name.
    fn current(&self, root: &Path, wanted: &[String]) -> bool {
        let Some(first) = wanted.first() else { return true };
        let probe = root.join("apt/probe");
        fs::create_dir_all(&probe).is_ok()
            && self.run("apt-get", &probe, ["download", first.as_str()]).is_ok()
    }

    fn run<'a>(
        &self,
        program: &str,
        folder: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, String> {
        run(Command::new(program)
            .current_dir(folder)
            .env("LC_ALL", "C")
            .args(&self.options)
            .arg("-oAPT::Sandbox::User=root")
            .arg("-oAcquire::http::Timeout=30")
            .args(arguments))
    }

    /// Libraries in the packages' closure that the machine has not.
    fn missing_libraries(&self, wanted: &[String]) -> Vec<String> {
        const QUIET: [&str; 8] = [
            "depends",
            "--recurse",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
        ];
        let arguments = QUIET.into_iter().chain(wanted.iter().map(String::as_str));
        let listing = self.run("apt-cache", Path::new("/"), arguments).unwrap_or_default();
        let mut names: Vec<String> = listing
            .lines()
            // Perl modules and the installer's libraries come in through debconf, which never runs here.
            .filter(|name| {
                name.starts_with("lib")
                    && !name.ends_with("-perl")
                    && !name.contains("debian-installer")
            })
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names.retain(|name| !installed(name));
        names
    }
}

fn installed(package: &str) -> bool {
    run(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status} ", package]))
        .is_ok_and(|status| status.split_whitespace().any(|word| word == "installed"))
}

/// Where a program is: in the machine's usual places.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs a command to its end: its standard output, or in words what went wrong.
///
/// # Errors
/// When it cannot be started or does not end with 0.
pub fn run(command: &mut Command) -> Result<String, String> {
    let shown = format!("{:?}", command.get_program());
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(format!("{shown}: {last}"))
}
