//! The laboratory's name server: A, MX and PTR of everybody in [`plan`], over UDP, from one thread.
//!
//! It knows no TCP, no EDNS and no delegation: a resolver falls back to the plain protocol (RFC 6891 §6.2.1 lets a
//! responder leave out the OPT record).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::plan::{self, Mta};

/// An address.
pub const A: u16 = 1;
const PTR: u16 = 12;
/// Where mail goes.
pub const MX: u16 = 15;

/// Answers questions until the process ends.
pub fn serve(socket: &UdpSocket) {
    let mut buffer = [0u8; 1500];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let reply = buffer.get(..len).and_then(|query| answer(query, look_up));
        if let Some(reply) = reply {
            send(socket, &reply, from);
        }
    }
}

fn send(socket: &UdpSocket, reply: &[u8], to: SocketAddr) {
    // A lost answer is asked for again.
    let _ = socket.send_to(reply, to);
}

/// The answer to one query, `None` if it is not one. `look_up` tells whether anybody has the name, and the data of the
/// record of that kind.
pub(crate) fn answer(
    query: &[u8],
    look_up: impl Fn(&str, u16) -> (bool, Option<Vec<u8>>),
) -> Option<Vec<u8>> {
    let header: &[u8; 12] = query.first_chunk()?;
    let mut rest = query.get(12..)?;
    let mut name = String::new();
    loop {
        let (&len, tail) = rest.split_first()?;
        if len == 0 {
            rest = tail;
            break;
        }
        let (label, tail) = tail.split_at_checked(usize::from(len))?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = tail;
    }
    let kind = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
    let question_end = query.len() - rest.len() + 4;
    let (known, record) = look_up(&name, kind);
    let mut out = Vec::with_capacity(query.len() + 64);
    out.extend_from_slice(&header[..2]);
    // Response, authoritative, recursion as asked and available; NXDOMAIN for a name nobody has.
    out.extend_from_slice(&[0x84 | (header[2] & 1), if known { 0x80 } else { 0x83 }]);
    out.extend_from_slice(&[0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    out.extend_from_slice(query.get(12..question_end)?);
    if let Some(data) = record {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        out.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&data);
    }
    Some(out)
}

/// Whether anybody has that name, and the record of that kind.
fn look_up(name: &str, kind: u16) -> (bool, Option<Vec<u8>>) {
    if let Some(host) = name.strip_suffix(".in-addr.arpa") {
        let found = reversed(host).and_then(owner);
        return (found.is_some(), found.filter(|_| kind == PTR).map(|name| encode(&name)));
    }
    let (address, exchanger) = (address(name), exchanger(name));
    let record = match kind {
        A => address.map(|address| address.octets().to_vec()),
        MX => exchanger.as_ref().map(|host| [&[0, 10][..], &encode(host)].concat()),
        _ => None,
    };
    (address.is_some() || exchanger.is_some(), record)
}

fn reversed(host: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut labels = host.split('.');
    for octet in octets.iter_mut().rev() {
        *octet = labels.next()?.parse().ok()?;
    }
    labels.next().is_none().then_some(Ipv4Addr::from(octets))
}

/// The name of an address.
fn owner(address: Ipv4Addr) -> Option<String> {
    if let Some(mta) = Mta::ALL.into_iter().find(|mta| mta.address() == address) {
        return Some(mta.public_name());
    }
    if let Some(index) = plan::exchanger_index(address) {
        return Some(format!("mx.{}", plan::domain(index)));
    }
    if address == plan::TLS_HOST {
        return Some(plan::TLS_NAME.to_owned());
    }
    (0..plan::PEERS)
        .find(|index| plan::peer(*index) == address)
        .map(|index| format!("mx.{}", plan::peer_domain(index)))
}

/// The address of a name.
fn address(name: &str) -> Option<Ipv4Addr> {
    if let Some(mta) = Mta::ALL.into_iter().find(|mta| mta.public_name() == name) {
        return Some(mta.address());
    }
    if name == plan::TLS_NAME {
        return Some(plan::TLS_HOST);
    }
    let host = name.strip_prefix("mx.")?;
    match host {
        plan::DEAD_DOMAIN => Some(plan::DEAD),
        plan::REFUSING_DOMAIN => Some(plan::REFUSING),
        _ => plan::domain_index(host).map(plan::exchanger).or_else(|| {
            (0..plan::PEERS).find(|index| plan::peer_domain(*index) == host).map(plan::peer)
        }),
    }
}

/// The mail exchanger of a domain.
fn exchanger(name: &str) -> Option<String> {
    if let Some(mta) = Mta::ALL.into_iter().find(|mta| mta.domain() == name) {
        return Some(mta.public_name());
    }
    let known = name == plan::DEAD_DOMAIN
        || name == plan::REFUSING_DOMAIN
        || plan::domain_index(name).is_some()
        || (0..plan::PEERS).any(|index| plan::peer_domain(index) == name);
    known.then(|| format!("mx.{name}"))
}

/// A name as messages hold it.
pub(crate) fn encode(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        out.push(u8::try_from(label.len().min(63)).unwrap_or(63));
        out.extend_from_slice(&label.as_bytes()[..label.len().min(63)]);
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: u16) -> Vec<u8> {
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(&encode(name));
        query.extend_from_slice(&kind.to_be_bytes());
        query.extend_from_slice(&[0, 1]);
        answer(&query, look_up).expect("an answer")
    }

    #[test]
    fn names_lead_to_addresses_and_back() {
        for (name, kind, end) in [
            ("d007.example", MX, encode("mx.d007.example")),
            ("mx.d007.example", A, vec![198, 18, 7, 25]),
            ("mx.d140.example", A, vec![198, 19, 140, 25]),
            ("25.7.18.198.in-addr.arpa", PTR, encode("mx.d007.example")),
            ("birch.example.org", MX, encode("mail.birch.example.org")),
            ("14.2.0.192.in-addr.arpa", PTR, encode("mail.birch.example.org")),
            ("mx.dead.example", A, vec![198, 51, 100, 66]),
        ] {
            let reply = ask(name, kind);
            assert_eq!((reply[3] & 15, reply[7]), (0, 1), "{name}");
            assert!(reply.ends_with(&end), "{name}");
        }
        assert_eq!(ask("d999.example", MX)[3] & 15, 3);
        let nothing = ask("mx.d007.example", MX);
        assert_eq!((nothing[3] & 15, nothing[7]), (0, 0));
    }
}
