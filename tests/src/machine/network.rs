//! A thread in another network namespace, and what is attached to interfaces there.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::thread;

/// What `work` gives in a thread that is in the network namespace of this file.
///
/// # Errors
/// Where the thread cannot get there.
pub fn within<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = File::open(namespace)?;
    thread::scope(|scope| {
        let inside = scope.spawn(move || {
            // SAFETY: setns with a descriptor that is open; it changes this thread only, which ends below.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(work())
        });
        match inside.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// How many eBPF programs are attached by TCX to the interface of this name in the namespace of this thread.
///
/// # Errors
/// What the kernel says against the question.
pub fn attached(interface: &str) -> io::Result<u32> {
    const BPF_PROG_QUERY: libc::c_long = 16;
    const TCX_INGRESS: u32 = 46;
    const TCX_EGRESS: u32 = 47;
    /// `union bpf_attr`, as BPF_PROG_QUERY uses it.
    #[derive(Default)]
    #[repr(C)]
    struct Query {
        target: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        programs: u64,
        count: u32,
        pad: u32,
        rest: [u64; 4],
    }
    let name = std::ffi::CString::new(interface).map_err(io::Error::other)?;
    // SAFETY: a string that ends with zero and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut count = 0;
    for attach_type in [TCX_INGRESS, TCX_EGRESS] {
        let mut query = Query { target: index, attach_type, ..Query::default() };
        // SAFETY: the kernel reads and writes `size` bytes of the structure, which is as it expects and lives through the
        // call; no list is asked for, so that it follows no pointer.
        let done = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_PROG_QUERY,
                std::ptr::from_mut(&mut query),
                size_of::<Query>(),
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        count += query.count;
    }
    Ok(count)
}
