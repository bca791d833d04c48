//! Running a program once and knowing what it cost.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What one run cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Seconds of processor time, in the program and in the kernel for it.
    pub(super) cpu: f64,
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// The largest resident set, in MiB. The kernel counts the starting program's own into it: ours is small.
    pub(super) peak: f64,
}

/// Runs a command to its end, its output into a file, and asks the kernel what it took.
pub(super) fn run(command: &mut Command, out: &Path) -> Result<Usage> {
    let errors = out.with_extension("err");
    command.stdin(Stdio::null()).stdout(File::create(out)?).stderr(File::create(&errors)?);
    super::lab::ends_with_us(command);
    let begin = Instant::now();
    let child =
        command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: rusage is a plain struct of numbers, for which zeroes are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the process is our child and nobody else waits for it; both pointers are to live variables of the right
    // types.
    if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        return Err(std::io::Error::last_os_error()).context("wait4");
    }
    let wall = begin.elapsed().as_secs_f64();
    if status != 0 {
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        bail!("{:?} failed (wait status {status}): {}", command.get_program(), said.trim());
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Usage {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall,
        peak: usage.ru_maxrss as f64 / 1024.0,
    })
}

/// The middle of several numbers (of an even count, the lower of the two in the middle).
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get((values.len().saturating_sub(1)) / 2).copied().unwrap_or(f64::NAN)
}

/// The machine, as far as figures depend on it.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = read("/proc/sys/kernel/osrelease");
    let kernel: Vec<_> = release.split(['.', '-']).take(2).map(str::trim).collect();
    let memory = read("/proc/meminfo");
    let kib = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let gib = kib.map_or_else(
        || "unknown".to_owned(),
        |kib| format!("{:.0}", kib as f64 / f64::from(1 << 20)),
    );
    format!(
        "{cores} cores ({}), {gib} GiB of memory, Linux {}",
        std::env::consts::ARCH,
        kernel.join(".")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([5.0]), 5.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_run_is_measured_and_a_failure_is_told() {
        let out = std::env::temp_dir().join(format!("botlike-xtask-{}.out", std::process::id()));
        let usage = run(Command::new("echo").arg("hello"), &out).unwrap();
        assert!(usage.wall > 0.0 && usage.peak > 0.0 && usage.cpu >= 0.0);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "hello\n");
        assert!(run(&mut Command::new("false"), &out).is_err());
        for kind in ["out", "err"] {
            std::fs::remove_file(out.with_extension(kind)).unwrap();
        }
    }
}
