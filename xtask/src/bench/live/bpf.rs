//! The few calls of bpf(2) that measuring takes: which programs a process holds, running one, and what it took.

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context, Result, bail};

/// Commands of bpf(2).
const PROG_LOAD: libc::c_int = 5;
const PROG_TEST_RUN: libc::c_int = 10;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const ENABLE_STATS: libc::c_int = 32;
/// `BPF_PROG_TYPE_SCHED_CLS`.
const CLASSIFIER: u32 = 3;

/// Where in `struct __sk_buff` the number of the interface stands.
const IFINDEX: usize = 40;

/// A program in the kernel.
pub(super) struct Program(OwnedFd);

/// So often it ran, in so many nanoseconds altogether, while [`Statistics`] were on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ran {
    pub(super) nanos: u64,
    pub(super) times: u64,
}

impl Ran {
    pub(super) const fn since(self, before: Self) -> Self {
        Self { nanos: self.nanos - before.nanos, times: self.times - before.times }
    }

    /// Nanoseconds for one time.
    pub(super) fn each(self) -> f64 {
        self.nanos as f64 / self.times as f64
    }
}

impl Program {
    /// The program of that name that a process holds.
    pub(super) fn of(pid: u32, name: &str) -> Result<Self> {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
            let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
            let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
            let Some(id) = id.and_then(|id| id.trim().parse::<u32>().ok()) else { continue };
            let program = Self(bpf(PROG_GET_FD_BY_ID, &mut [u64::from(id), 0])?);
            if program.info()?.0 == name {
                return Ok(program);
            }
        }
        bail!("the process has no BPF program {name:?}")
    }

    /// One that does nothing but say `TCX_NEXT`.
    pub(super) fn empty() -> Result<Self> {
        // r0 = -1; exit
        let code: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];
        let license = c"GPL";
        let mut attributes = [0; 16];
        attributes[0] = u64::from(CLASSIFIER) | (code.len() as u64) << 32;
        attributes[1] = code.as_ptr() as u64;
        attributes[2] = license.as_ptr() as u64;
        Ok(Self(bpf(PROG_LOAD, &mut attributes)?))
    }

    /// Runs it on a frame that often, as if the frame passed the interface with that number in this thread's namespace.
    /// Returns nanoseconds for one time.
    pub(super) fn run(&self, frame: &[u8], ifindex: u32, times: u32) -> Result<f64> {
        let mut context = [0_u8; 192];
        context[IFINDEX..IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
        let mut attributes = [0; 10];
        attributes[0] = self.0.as_raw_fd() as u64;
        attributes[1] = frame.len() as u64;
        attributes[2] = frame.as_ptr() as u64;
        attributes[4] = u64::from(times);
        attributes[5] = context.len() as u64;
        attributes[6] = context.as_ptr() as u64;
        call(PROG_TEST_RUN, &mut attributes)?;
        // The kernel wrote its answer and the time behind `prog_fd` and `repeat`.
        Ok((attributes[4] >> 32) as f64)
    }

    pub(super) fn ran(&self) -> Result<Ran> {
        Ok(self.info()?.1)
    }

    fn info(&self) -> Result<(String, Ran)> {
        let mut info = [0_u64; 32];
        let length = size_of_val(&info) as u64;
        let mut attributes = [self.0.as_raw_fd() as u64 | length << 32, info.as_mut_ptr() as u64];
        call(OBJ_GET_INFO_BY_FD, &mut attributes)?;
        let name: Vec<u8> = info[8..10].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let ran = Ran { nanos: info[24], times: info[25] };
        Ok((String::from_utf8_lossy(name).into_owned(), ran))
    }
}

/// While this lives, the kernel keeps count of how long programs run.
pub(super) struct Statistics(
    #[expect(dead_code, reason = "the kernel looks at whether it is open")] OwnedFd,
);

impl Statistics {
    pub(super) fn on() -> Result<Self> {
        Ok(Self(bpf(ENABLE_STATS, &mut [0])?))
    }
}

/// Does something in a thread that is in the network namespace of this file. That thread must start no process: it would
/// end with the thread.
pub(super) fn in_namespace<T: Send>(
    file: &std::path::Path,
    what: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let namespace = File::open(file)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: only a descriptor is passed, of a file that is open.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(std::io::Error::last_os_error()).context("setns");
            }
            what()
        });
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
    })
}

/// A call that returns a descriptor.
fn bpf(command: libc::c_int, attributes: &mut [u64]) -> Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: the kernel just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call(command: libc::c_int, attributes: &mut [u64]) -> Result<libc::c_int> {
    // SAFETY: the attributes are as long as is said, and what they point to lives in the caller's frame.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes.as_mut_ptr(),
            size_of_val::<[u64]>(attributes),
        )
    };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).with_context(|| format!("bpf({command})"));
    }
    Ok(libc::c_int::try_from(result)?)
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_programs_has_none() {
        assert!(Program::of(std::process::id(), "botlike_in").is_err());
    }
}
