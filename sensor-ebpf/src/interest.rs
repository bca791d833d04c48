//! What is captured, decided by ports and flags alone.

/// Port of DNS.
const DNS: u16 = 53;

/// TCP flags that open or refuse a connection, where they stand in the header's 14th byte.
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// Why a packet is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// A watched SMTP port at either end.
    Smtp,
    /// DNS at either end.
    Dns,
    /// A SYN, SYN-ACK or RST of another port: its headers.
    Syn,
}

/// Words of a bitmap of all ports.
pub const PORT_WORDS: usize = 1024;

/// Whether a bitmap of ports has this one.
#[inline(always)]
pub fn has_port(words: &[u64; PORT_WORDS], port: u16) -> bool {
    words[usize::from(port >> 6)] >> (port & 63) & 1 == 1
}

/// The bitmap of these ports.
pub fn port_words(ports: &[u16]) -> [u64; PORT_WORDS] {
    let mut words = [0; PORT_WORDS];
    for &port in ports {
        words[usize::from(port >> 6)] |= 1 << (port & 63);
    }
    words
}

/// What a TCP segment is of, by its ports and flags; `smtp` says whether a port is a watched one.
#[inline(always)]
pub fn of_tcp(
    smtp: impl Fn(u16) -> bool,
    dns: bool,
    syn: bool,
    ports: (u16, u16),
    flags: u8,
) -> Option<Interest> {
    if smtp(ports.1) || smtp(ports.0) {
        Some(Interest::Smtp)
    } else if dns && of_dns(ports) {
        Some(Interest::Dns)
    } else if syn && flags & (SYN | RST) != 0 {
        Some(Interest::Syn)
    } else {
        None
    }
}

/// Whether a UDP datagram is DNS, by its ports.
#[inline(always)]
pub const fn of_dns(ports: (u16, u16)) -> bool {
    ports.0 == DNS || ports.1 == DNS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_have_an_order() {
        let words = port_words(&[0, 25, 465, 65535]);
        let smtp = |port| has_port(&words, port);
        for port in 0..=u16::MAX {
            assert_eq!(smtp(port), [0, 25, 465, 65535].contains(&port), "{port}");
        }
        let of = |ports, flags| of_tcp(smtp, true, true, ports, flags);
        assert_eq!(of((40_000, 25), 0x10), Some(Interest::Smtp));
        assert_eq!(of((25, 40_000), 0x02), Some(Interest::Smtp));
        assert_eq!(of((53, 40_000), 0x10), Some(Interest::Dns));
        assert_eq!(of((40_000, 443), 0x02), Some(Interest::Syn));
        assert_eq!(of((443, 40_000), 0x12), Some(Interest::Syn));
        assert_eq!(of((443, 40_000), 0x14), Some(Interest::Syn));
        assert_eq!(of((443, 40_000), 0x19), None);
        assert_eq!(of_tcp(smtp, false, false, (53, 40_000), 0x02), None);
    }
}
