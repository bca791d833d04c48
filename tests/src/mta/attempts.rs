//! Whom a server tried to reach, counted from its capture by a reader that knows only what the laboratory's own
//! captures look like: little-endian pcap, Ethernet, IPv4 and TCP.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

/// SYNs from `client` to port 25, by the address called, retransmitted ones included.
///
/// # Errors
/// When the file cannot be read, or is not such a capture.
pub fn attempts(path: &Path, client: Ipv4Addr) -> io::Result<BTreeMap<Ipv4Addr, usize>> {
    let bytes = std::fs::read(path)?;
    let whole = frames(&bytes)
        .ok_or_else(|| io::Error::other(format!("{}: not our capture", path.display())))?;
    let mut out = BTreeMap::new();
    for server in whole.filter_map(|frame| attempt(frame, client)) {
        *out.entry(server).or_default() += 1;
    }
    Ok(out)
}

fn frames(bytes: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut rest = bytes.strip_prefix(&0xa1b2_c3d4u32.to_le_bytes())?.get(20..)?;
    Some(std::iter::from_fn(move || {
        let (header, tail) = rest.split_first_chunk::<16>()?;
        let length = u32::from_le_bytes(*header[8..].first_chunk()?);
        let (frame, tail) = tail.split_at_checked(usize::try_from(length).ok()?)?;
        rest = tail;
        Some(frame)
    }))
}

fn attempt(frame: &[u8], client: Ipv4Addr) -> Option<Ipv4Addr> {
    let packet = frame.get(14..).filter(|_| frame[12..14] == [8, 0])?;
    let address = |at: usize| packet.get(at..)?.first_chunk::<4>().copied().map(Ipv4Addr::from);
    let header = usize::from(*packet.first()? & 15) * 4;
    let segment = packet.get(header..).filter(|_| packet.get(9) == Some(&6))?;
    let to_smtp = segment.get(2..4)? == [0, 25];
    let opening = segment.get(13)? & 0x12 == 0x02;
    (to_smtp && opening && address(12)? == client).then(|| address(16)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(from: [u8; 4], to: [u8; 4], port: u8, flags: u8) -> Vec<u8> {
        let mut ip = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        ip.extend_from_slice(&[from, to].concat());
        let tcp = [200, 1, 0, port, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0];
        [&[0; 12][..], &[8, 0], &ip, &tcp].concat()
    }

    #[test]
    fn only_the_clients_own_openings_count() {
        let (us, them) = ([192, 0, 2, 10], [198, 18, 0, 25]);
        let mut file = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
        file.extend_from_slice(&[0; 20]);
        let all = [
            (us, them, 25, 2),
            (us, them, 25, 0x12),
            (us, them, 25, 0x10),
            (us, them, 80, 2),
            (them, us, 25, 2),
        ];
        for (from, to, port, flags) in all {
            let frame = frame(from, to, port, flags);
            let length = u32::try_from(frame.len()).expect("a short frame").to_le_bytes();
            file.extend_from_slice(&[&[0; 8][..], &length, &length, &frame].concat());
        }
        let found: Vec<_> = frames(&file)
            .expect("a capture")
            .filter_map(|frame| attempt(frame, Ipv4Addr::from(us)))
            .collect();
        assert_eq!(found, [Ipv4Addr::from(them)]);
    }
}
