//! A Debian machine with systemd as its first process, in namespaces of its own: what packages are installed on.
//!
//! Promises: nothing of it outlives [`Machine`], nor the thread that booted it; its changes to files are kept in memory
//! only; it cannot set what is the whole kernel's (clock, sysctl, modules). Not promised: limits of memory and CPU, whose
//! controllers may be the host's alone.

mod debian;
pub mod network;

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::mta::packages::{self, find_program};

pub use debian::tree;

/// What runs inside of the new namespaces.
const BOOT: &str = include_str!("boot.sh");
/// Puts itself into a new group of processes, so that systemd has a hierarchy to itself, and then starts the rest.
const ENTER: &str = r#"
set -e
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$1"
mkdir "$1/$2"
echo $$ >"$1/$2/cgroup.procs"
umount "$1"
shift 2
exec "$@"
"#;
/// Removes such groups, when their processes are gone.
const LEAVE: &str = r#"
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$1"
for try in 1 2 3 4 5 6 7 8 9 10; do
	find "$1/$2" -depth -type d -exec rmdir {} + 2>/dev/null
	[ -d "$1/$2" ] || exit 0
	sleep 0.2
done
exit 1
"#;
/// A machine that has not booted by then does not.
const BOOTED: Duration = Duration::from_secs(60);

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    outer: Child,
    init: u32,
    group: String,
    mounts: PathBuf,
}

/// Why there is no machine.
#[derive(Debug)]
pub enum Refusal {
    /// This host does not allow it, or has not what it needs.
    Skip(String),
    /// It should have worked.
    Failed(String),
}

impl Machine {
    /// Boots a tree (see [`tree`]) with a package in it as `/srv/package.deb`. `folder` is for what it needs on the host.
    ///
    /// # Errors
    /// Where namespaces are not granted, or systemd does not come up.
    pub fn boot(folder: &Path, tree: &Path, package: &Path) -> Result<Self, Refusal> {
        let mounts = folder.join("mounts");
        fs::create_dir_all(&mounts).map_err(|error| Refusal::Failed(error.to_string()))?;
        let group = format!("botlike-machine-{}", std::process::id());
        let log = folder.join("boot.log");
        let said = fs::File::create(&log).map_err(|error| Refusal::Failed(error.to_string()))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "enter"]).arg(&mounts).arg(&group);
        command.args(["unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup"]);
        command.args(["--fork", "--kill-child", "sh", "-c", BOOT, "boot"]);
        command.args([tree, &mounts, package]);
        command.stdin(Stdio::null()).stderr(said.try_clone().map_err(failed)?).stdout(said);
        // SAFETY: prctl with these arguments touches no memory, and is allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                    return Ok(());
                }
                Err(io::Error::last_os_error())
            });
        }
        let outer = command.spawn().map_err(|error| Refusal::Skip(format!("unshare: {error}")))?;
        let mut machine = Self { outer, init: 0, group, mounts };
        let start = Instant::now();
        loop {
            sleep(Duration::from_millis(100));
            let said = || fs::read_to_string(&log).unwrap_or_default().trim().to_owned();
            if !matches!(machine.outer.try_wait(), Ok(None)) {
                return Err(Refusal::Skip(format!("no namespaces for a machine: {}", said())));
            }
            machine.init = child_of(machine.outer.id()).unwrap_or(0);
            if machine.init != 0
                && let Ok(state) = machine.run(&["systemctl", "is-system-running"])
                && matches!(state.trim(), "running" | "degraded")
            {
                return Ok(machine);
            }
            if start.elapsed() > BOOTED {
                return Err(Refusal::Failed(format!("systemd does not come up: {}", said())));
            }
        }
    }

    /// What a command inside prints, whatever its exit code is when it prints something.
    ///
    /// # Errors
    /// With all that it said, when it fails.
    pub fn run(&self, command: &[&str]) -> Result<String, String> {
        let mut all = self.within(&["--all"]);
        let output = all.args(["--", "/usr/bin/timeout", "60"]).args(command).output();
        let output = output.map_err(|error| format!("nsenter: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!(
            "{command:?} ended with {}: {}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        ))
    }

    fn within(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string()]).args(namespaces);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        command
    }

    /// A path inside, as the host sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    /// Its network namespace.
    pub fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.init))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process of the namespace is unshare's child and dies with it, and with that all the others.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let mut leave = Command::new("unshare");
        leave.args(["--mount", "sh", "-c", LEAVE, "leave"]).arg(&self.mounts).arg(&self.group);
        if let Err(error) = packages::run(&mut leave) {
            eprintln!("the group of processes {} is left behind: {error}", self.group);
        }
    }
}

fn failed(error: io::Error) -> Refusal {
    Refusal::Failed(error.to_string())
}

/// The child that a process has.
fn child_of(parent: u32) -> Option<u32> {
    let numbers = fs::read_dir("/proc").ok()?.flatten();
    numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|number| {
        // "4711 (name) S 4710 …": the name may have anything in it.
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        after.split_whitespace().nth(1).is_some_and(|number| number == parent.to_string())
    })
}

/// Whether this host can have machines at all; why not.
///
/// # Errors
/// In words.
pub fn possible() -> Result<(), String> {
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err("not root".into());
    }
    for program in ["unshare", "nsenter", "dpkg-deb", "apt-get"] {
        if find_program(program).is_none() {
            return Err(format!("there is no {program}"));
        }
    }
    Ok(())
}
