//! What the kernel said, and what would help.

use std::error::Error;
use std::io;

use super::super::RungError;

/// Capabilities that the probe needs, by their numbers.
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];

/// The kernel's own error within one of the library's.
pub(super) fn cause(error: &(dyn Error + 'static)) -> io::Error {
    let mut at = Some(error);
    while let Some(one) = at {
        if let Some(number) = one.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(number);
        }
        at = one.source();
    }
    // The library's errors show their causes apart.
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(one) = at {
        text = format!("{text}: {one}");
        at = one.source();
    }
    io::Error::other(text)
}

/// Why the probe could not be loaded.
pub(super) fn load(error: &(dyn Error + 'static)) -> RungError {
    let cause = cause(error);
    let help = match cause.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => permission(),
        Some(libc::ENOSYS) => "this kernel was built without BPF (CONFIG_BPF_SYSCALL)".into(),
        Some(libc::EINVAL) => "this kernel is older than 6.6, or refuses the probe".into(),
        Some(libc::ENOMEM) => {
            "the ring and the table of connections need memory of the kernel: make the ring smaller"
                .into()
        }
        _ => String::new(),
    };
    RungError { what: "load the probe".into(), error: cause, help }
}

/// Why it could not be attached.
pub(super) fn attach(interface: &str, error: io::Error) -> RungError {
    let help = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => permission(),
        Some(libc::EINVAL | libc::EOPNOTSUPP) => "TCX links need Linux 6.6".into(),
        Some(libc::ENODEV | libc::ENXIO) => {
            "it is not there any more; `ip link` shows which are".into()
        }
        Some(libc::ERANGE) => "too many other programs are attached there".into(),
        _ => String::new(),
    };
    RungError { what: format!("attach to {interface}"), error, help }
}

/// The object lacks something: it is not of this program.
pub(super) fn missing(kind: &str, name: &str) -> RungError {
    RungError {
        what: "load the probe".into(),
        error: io::Error::new(io::ErrorKind::InvalidData, format!("it has no {kind} {name}")),
        help: "it was built for another version".into(),
    }
}

/// What to do where rights are missing.
fn permission() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    permission_of(&status)
}

fn permission_of(status: &str) -> String {
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(bit, _)| held >> bit & 1 == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return "every capability is there, so that a security module, a seccomp filter or a container forbids it".into();
    }
    let missing = missing.join(" and ");
    format!(
        "{missing} is missing: run it as root, or `setcap cap_bpf,cap_net_admin,cap_perfmon+ep BOTLIKE`, or in its unit \
         `AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let all = permission_of("Name:\tx\nCapEff:\t000001ffffffffff\n");
        assert!(all.contains("security module"), "{all}");
        let bpf = permission_of("CapEff:\t0000004000001000\n");
        assert!(bpf.starts_with("CAP_BPF is missing"), "{bpf}");
        let none = permission_of("CapEff:\t0000000000000000\n");
        assert!(none.starts_with("CAP_NET_ADMIN and CAP_PERFMON and CAP_BPF is"), "{none}");
    }

    #[test]
    fn the_kernels_number_is_found_within() {
        #[derive(Debug)]
        struct Outer(io::Error);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("outer")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = Outer(io::Error::from_raw_os_error(libc::ENOSYS));
        assert!(load(&error).to_string().contains("without BPF"), "{}", load(&error));
        let error = Outer(io::Error::other("inner"));
        assert_eq!(cause(&error).to_string(), "outer: inner");
        let gone = attach("eth7", io::Error::from_raw_os_error(libc::ENODEV));
        assert!(gone.to_string().starts_with("cannot attach to eth7: "), "{gone}");
    }
}
