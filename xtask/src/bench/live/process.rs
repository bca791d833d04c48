//! What a process that runs has taken so far.

use std::path::Path;

use anyhow::{Context, Result};

/// Taken up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Taken {
    /// Seconds of processor time of all its threads, in the program and in the kernel for it.
    pub(super) cpu: f64,
    /// How often its threads gave up a processor, or lost it.
    pub(super) switches: u64,
}

impl Taken {
    pub(super) fn by(pid: u32) -> Result<Self> {
        Ok(Self { cpu: cpu(pid)?, switches: switches(pid) })
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu - before.cpu, switches: self.switches.saturating_sub(before.switches) }
    }
}

/// The process's own clock, which counts nanoseconds where `/proc/PID/stat` counts hundredths of a second.
fn cpu(pid: u32) -> Result<f64> {
    let mut clock = 0;
    let pid = libc::pid_t::try_from(pid)?;
    // SAFETY: the clock's number is written to a variable of its type.
    let failed = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if failed != 0 {
        return Err(std::io::Error::from_raw_os_error(failed)).context("the clock of a process");
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to a variable of its type.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(std::io::Error::last_os_error()).context("the clock of a process");
    }
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

fn switches(pid: u32) -> u64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let of = |thread: &Path| {
        let text = std::fs::read_to_string(thread.join("status")).unwrap_or_default();
        field(&text, "voluntary_ctxt_switches") + field(&text, "nonvoluntary_ctxt_switches")
    };
    threads.flatten().map(|thread| of(&thread.path())).sum()
}

/// Resident memory in MiB: now, and the most there was.
pub(super) fn resident(pid: u32) -> (f64, f64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mib = |name| field(&text, name) as f64 / 1024.0;
    (mib("VmRSS"), mib("VmHWM"))
}

/// The number behind a name in a file like `/proc/PID/status`.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Its first child, if it has one.
pub(super) fn child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_takes_is_seen() {
        let pid = std::process::id();
        let before = Taken::by(pid).unwrap();
        let mut sum = 0_u64;
        for number in 0..5_000_000_u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        let taken = Taken::by(pid).unwrap().since(before);
        assert!(taken.cpu > 0.0, "{taken:?}, {sum}");
        let (now, most) = resident(pid);
        assert!(now > 0.5 && most >= now * 0.9, "{now} {most}");
        assert_eq!(field("VmRSSx:\t1 kB\nVmRSS:\t  724 kB\n", "VmRSS"), 724);
        assert_eq!(field("VmRSS:\n", "VmRSS"), 0);
    }
}
