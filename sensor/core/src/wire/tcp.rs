//! TCP headers, their options, and the fingerprint of a SYN.

use super::ip::{Body, Header};
use super::{Other, Segment, TcpFlags};
use crate::base::Endpoint;

/// Reads a segment, if `watched` says so of its source and destination port.
#[inline]
pub(super) fn segment<'a>(
    header: Header,
    vlan: u16,
    iface: u32,
    body: Body<'a>,
    watched: impl Fn(u16, u16) -> bool,
) -> Result<Segment<'a>, Other> {
    // The ports first: of a foreign segment nothing else is looked at.
    let Some(&[s1, s2, d1, d2]) = body.bytes.first_chunk::<4>() else {
        return Err(Other::Malformed);
    };
    let (src, dst) = (u16::from_be_bytes([s1, s2]), u16::from_be_bytes([d1, d2]));
    if !watched(src, dst) {
        return Err(Other::OtherPort);
    }
    let Some((h, rest)) = body.bytes.split_first_chunk::<20>() else {
        return Err(Other::Malformed);
    };
    let header_len = usize::from(h[12] >> 4) * 4;
    if header_len < 20 || header_len > body.len {
        return Err(Other::Malformed);
    }
    let (options, payload) = rest.split_at_checked(header_len - 20).unwrap_or((rest, &[]));
    Ok(Segment {
        src: Endpoint { addr: header.src, port: src },
        dst: Endpoint { addr: header.dst, port: dst },
        seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        flags: TcpFlags::from_bits_truncate(h[13]),
        window: u16::from_be_bytes([h[14], h[15]]),
        ttl: header.ttl,
        options,
        payload,
        len: u32::try_from(body.len - header_len).unwrap_or(u32::MAX),
        vlan,
        iface,
    })
}

/// One TCP option (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// End of the list (0).
    End,
    /// Padding (1).
    Nop,
    /// Maximum segment size (2).
    Mss(u16),
    /// Window scale: the shift (3, RFC 7323).
    WindowScale(u8),
    /// Selective acknowledgement permitted (4, RFC 2018).
    SackPermitted,
    /// Any other, or one of the above with an odd length: kind and value.
    Other(u8, &'a [u8]),
}

impl TcpOption<'_> {
    /// The number of its kind.
    pub fn kind(&self) -> u8 {
        match *self {
            Self::End => 0,
            Self::Nop => 1,
            Self::Mss(_) => 2,
            Self::WindowScale(_) => 3,
            Self::SackPermitted => 4,
            Self::Other(kind, _) => kind,
        }
    }
}

/// The options of a segment in their order. Stops after [`TcpOption::End`] and before the first that makes no sense.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions<'a>(&'a [u8]);

impl TcpOptions<'_> {
    /// Whether bytes are left that are no option, or that lie behind the end of the list.
    pub fn has_rest(&self) -> bool {
        !self.0.is_empty()
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        match *self.0 {
            [] => None,
            // What lies behind is padding; the iterator ends with it.
            [0, ..] => {
                self.0 = &[];
                Some(TcpOption::End)
            }
            [1, ref rest @ ..] => {
                self.0 = rest;
                Some(TcpOption::Nop)
            }
            [kind, len, ref rest @ ..] => {
                let (value, rest) = rest.split_at_checked(usize::from(len).checked_sub(2)?)?;
                self.0 = rest;
                Some(match (kind, value) {
                    (2, &[a, b]) => TcpOption::Mss(u16::from_be_bytes([a, b])),
                    (3, &[shift]) => TcpOption::WindowScale(shift),
                    (4, []) => TcpOption::SackPermitted,
                    _ => TcpOption::Other(kind, value),
                })
            }
            [_] => None,
        }
    }
}

impl<'a> Segment<'a> {
    /// The options one by one.
    pub fn tcp_options(&self) -> TcpOptions<'a> {
        TcpOptions(self.options)
    }

    /// A fingerprint of the stack that sent this SYN, never 0.
    ///
    /// Two SYNs have the same one if they agree in this tuple, which is our own (p0f's signatures hold more, and a window
    /// relative to the MSS): the initial TTL, guessed as the next of 32, 64, 128 and 255; the window; the kinds of the
    /// options in order, up to and with the end of the list; MSS and window scale. It says "another stack than before",
    /// it names none.
    pub fn stack(&self) -> u32 {
        // FNV-1a, 32 bits: a few dozen bytes, equal everywhere.
        let mut hash = 0x811c_9dc5_u32;
        let mut eat = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        eat(match self.ttl {
            0..=32 => 32,
            33..=64 => 64,
            65..=128 => 128,
            _ => 255,
        });
        self.window.to_be_bytes().into_iter().for_each(&mut eat);
        let (mut mss, mut scale) = (0u16, 0xffu8);
        let mut options = self.tcp_options();
        for option in &mut options {
            eat(option.kind());
            match option {
                TcpOption::Mss(value) => mss = value,
                TcpOption::WindowScale(shift) => scale = shift,
                _ => {}
            }
        }
        // Kind 255 is reserved: it stands for a list that does not end well.
        if options.has_rest() {
            eat(0xff);
        }
        mss.to_be_bytes().into_iter().for_each(&mut eat);
        eat(scale);
        hash.max(1)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn syn(ttl: u8, window: u16, options: &[u8]) -> Segment<'_> {
        Segment {
            src: Endpoint::default(),
            dst: Endpoint::default(),
            seq: 0,
            ack: 0,
            flags: TcpFlags::SYN,
            window,
            ttl,
            options,
            payload: &[],
            len: 0,
            vlan: 0,
            iface: 0,
        }
    }

    const LINUX: &[u8] = &[2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];

    #[test]
    fn options_as_they_come() {
        use TcpOption::*;
        let cases: &[(&[u8], Vec<TcpOption<'_>>, bool)] = &[
            (&[], vec![], false),
            (
                LINUX,
                vec![Mss(1460), SackPermitted, Other(8, &LINUX[8..16]), Nop, WindowScale(7)],
                false,
            ),
            (&[1, 1, 0, 9, 9], vec![Nop, Nop, End], false),
            (&[2, 3, 5, 3, 2], vec![Other(2, &[5]), Other(3, &[])], false),
            (&[1, 2], vec![Nop], true),
            (&[1, 2, 1, 4, 4], vec![Nop], true),
            (&[8, 0], vec![], true),
            (&[8, 10, 1], vec![], true),
        ];
        for (raw, expected, rest) in cases {
            let mut options = syn(64, 0, raw).tcp_options();
            assert_eq!((&mut options).collect::<Vec<_>>(), *expected, "{raw:?}");
            assert_eq!(options.has_rest(), *rest, "{raw:?}");
        }
    }

    #[test]
    fn stacks_differ_by_what_the_tuple_holds() {
        let base = syn(64, 64_240, LINUX).stack();
        assert_ne!(base, 0);
        let mut stamp = LINUX.to_vec();
        stamp[8] = 99;
        let same = [syn(64, 64_240, LINUX), syn(52, 64_240, LINUX), syn(64, 64_240, &stamp)];
        for segment in same {
            assert_eq!(segment.stack(), base);
        }
        let (mut mss, mut scale, mut bad) = (LINUX.to_vec(), LINUX.to_vec(), LINUX.to_vec());
        mss[3] = 179;
        scale[19] = 8;
        bad[18] = 9;
        let order = [&LINUX[4..], &LINUX[..4]].concat();
        let others = [
            syn(65, 64_240, LINUX),
            syn(32, 64_240, LINUX),
            syn(129, 64_240, LINUX),
            syn(64, 64_241, LINUX),
            syn(64, 64_240, &mss),
            syn(64, 64_240, &scale),
            syn(64, 64_240, &order),
            syn(64, 64_240, &bad),
            syn(64, 64_240, &[]),
        ];
        let mut all: Vec<u32> = others.iter().map(Segment::stack).collect();
        all.push(base);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
    }
}
