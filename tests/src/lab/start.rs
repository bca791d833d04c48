//! Outside of the laboratory: namespaces are asked for, and whatever happens they end with their first process.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// Why the laboratory did not begin.
#[derive(Debug)]
pub struct Refusal(pub String);

/// Leaves the machine's namespaces and runs `program world …` in new ones, as their first process. For a process with
/// one thread.
///
/// # Errors
/// Where the kernel grants no namespaces; nothing was begun then.
pub fn run(program: &Path, arguments: &[String]) -> Result<ExitStatus, Refusal> {
    let refuse = |what: &str, error: io::Error| Refusal(format!("{what}: {error}"));
    // SAFETY: both take nothing, touch no memory and cannot fail.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    let mut flags =
        libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC;
    if user != 0 {
        flags |= libc::CLONE_NEWUSER;
    }
    // SAFETY: unshare takes a number and touches no memory.
    if unsafe { libc::unshare(flags) } != 0 {
        let error = io::Error::last_os_error();
        let who = if user == 0 { "namespaces" } else { "namespaces without root" };
        return Err(refuse(who, error));
    }
    if user != 0 {
        for (file, text) in [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("0 {user} 1")),
            ("gid_map", format!("0 {group} 1")),
        ] {
            std::fs::write(format!("/proc/self/{file}"), text)
                .map_err(|error| refuse(&format!("/proc/self/{file}"), error))?;
        }
    }
    let mut command = Command::new(program);
    command.arg("world").args(arguments);
    // SAFETY: prctl is async-signal-safe, and nothing else is called.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    command.status().map_err(|error| refuse("the first process", error))
}

/// The inside's first step: mounts of its own, and a `/proc` that shows its own processes.
///
/// # Errors
/// In words.
pub(super) fn settle() -> Result<(), String> {
    let mount = |source: &std::ffi::CStr, target: &std::ffi::CStr, kind: &std::ffi::CStr, flags| {
        // SAFETY: all three end with a zero byte and outlive the call; no data is passed.
        let done = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
        };
        if done == 0 {
            return Ok(());
        }
        Err(format!("mount {}: {}", target.to_string_lossy(), io::Error::last_os_error()))
    };
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE)?;
    mount(c"proc", c"/proc", c"proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
}
