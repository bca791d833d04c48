//! Names for what lines are about: the Community ID of a flow, and ids that come out the same whenever the same packets
//! are read with the same key.

use botlike_core::base::{Endpoint, Flow};
use sha1::{Digest, Sha1};
use siphasher::sip128::SipHasher24;

use super::write;

/// The key of ids and of hashed values where none is configured. It is published, so hashes made with it can be guessed
/// by trying; the sensor line says when it is in use.
pub const PUBLISHED_KEY: [u8; 16] = *b"botlike public 1";

/// Bytes of a Community ID v1 as text.
pub(super) const COMMUNITY_ID_LEN: usize = 30;

/// Community ID v1 of a TCP connection with the given seed (github.com/corelight/community-id-spec): the same for both
/// directions.
pub(super) fn community_id(out: &mut Vec<u8>, seed: u16, client: Endpoint, server: Endpoint) {
    const TCP: u8 = 6;
    let (low, high) = if client <= server { (client, server) } else { (server, client) };
    let mut bytes = [0u8; 40];
    bytes[..2].copy_from_slice(&seed.to_be_bytes());
    let mut len = 2;
    for end in [low, high] {
        match end.addr.as_v4() {
            // Both ends are of one family: they lay in one IP header.
            Some(octets) => {
                bytes[len..len + 4].copy_from_slice(&octets);
                len += 4;
            }
            None => {
                bytes[len..len + 16].copy_from_slice(end.addr.octets());
                len += 16;
            }
        }
    }
    bytes[len..len + 2].copy_from_slice(&[TCP, 0]);
    bytes[len + 2..len + 4].copy_from_slice(&low.port.to_be_bytes());
    bytes[len + 4..len + 6].copy_from_slice(&high.port.to_be_bytes());
    let digest = Sha1::digest(&bytes[..len + 6]);
    out.extend_from_slice(b"1:");
    write::base64(out, &digest);
}

/// What an id is made of besides the key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// A connection.
    Session(&'a Flow),
    /// A transaction of it, by its number.
    Message(&'a Flow, u32),
    /// Any other, by bytes that name it.
    Named(&'a [u8]),
}

/// The id: SipHash-2-4 with 128 bits under `key`.
pub(super) fn event_id(key: &[u8; 16], subject: Subject<'_>) -> [u8; 16] {
    let hasher = SipHasher24::new_with_key(key);
    let (flow, number) = match subject {
        Subject::Session(flow) => (flow, u32::MAX),
        Subject::Message(flow, number) => (flow, number),
        Subject::Named(bytes) => return hasher.hash(bytes).as_bytes(),
    };
    let mut bytes = [0u8; 48];
    bytes[..8].copy_from_slice(&flow.start.as_nanos().to_le_bytes());
    bytes[8..24].copy_from_slice(flow.client.addr.octets());
    bytes[24..40].copy_from_slice(flow.server.addr.octets());
    bytes[40..42].copy_from_slice(&flow.client.port.to_le_bytes());
    bytes[42..44].copy_from_slice(&flow.server.port.to_le_bytes());
    bytes[44..48].copy_from_slice(&number.to_le_bytes());
    hasher.hash(&bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use botlike_core::base::Stamp;

    use super::*;

    fn end(addr: &str, port: u16) -> Endpoint {
        Endpoint { addr: addr.parse::<IpAddr>().unwrap().into(), port }
    }

    fn id(a: Endpoint, b: Endpoint) -> String {
        let mut out = Vec::new();
        community_id(&mut out, 0, a, b);
        assert_eq!(out.len(), COMMUNITY_ID_LEN);
        String::from_utf8(out).unwrap()
    }

    /// The first is the specification's; the others were compared with the `community-id` crate below.
    #[test]
    fn community_ids_are_those_of_the_specification() {
        let (a, b) = (end("128.232.110.120", 34_855), end("66.35.250.204", 80));
        assert_eq!(id(a, b), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(id(b, a), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    }

    #[test]
    fn community_ids_are_those_of_another_implementation() {
        let hosts =
            ["192.0.2.7", "10.0.0.1", "2001:db8::7", "2001:db8::8", "fe80::1", "255.255.255.255"];
        for (i, a) in hosts.iter().enumerate() {
            for (j, b) in hosts.iter().enumerate() {
                if a.contains(':') != b.contains(':') {
                    continue;
                }
                let (p, q) = (25 + i as u16 * 997, 25 + j as u16 * 499);
                let theirs = community_id::calculate_community_id(
                    0,
                    a.parse().unwrap(),
                    b.parse().unwrap(),
                    Some(p),
                    Some(q),
                    6,
                    false,
                );
                assert_eq!(id(end(a, p), end(b, q)), theirs.unwrap(), "{a}:{p} {b}:{q}");
            }
        }
    }

    #[test]
    fn ids_differ_where_their_subjects_do() {
        let flow = Flow {
            client: end("192.0.2.7", 1),
            server: end("192.0.2.8", 25),
            start: Stamp::from_nanos(5),
            ..Flow::default()
        };
        let other = Flow { start: Stamp::from_nanos(6), ..flow };
        let swapped = Flow { client: flow.server, server: flow.client, ..flow };
        let key = &PUBLISHED_KEY;
        let ids = [
            event_id(key, Subject::Session(&flow)),
            event_id(key, Subject::Message(&flow, 0)),
            event_id(key, Subject::Message(&flow, 1)),
            event_id(key, Subject::Session(&other)),
            event_id(key, Subject::Session(&swapped)),
            event_id(&[0; 16], Subject::Session(&flow)),
            event_id(key, Subject::Named(b"x")),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert!(ids.iter().skip(i + 1).all(|b| a != b));
        }
        // What a frame number or an interface is does not matter: another capture of the same packets has others.
        assert_eq!(
            ids[0],
            event_id(key, Subject::Session(&Flow { first_frame: 9, iface: 3, vlan: 7, ..flow }))
        );
    }
}
