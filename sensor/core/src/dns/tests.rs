#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::base::{Addr, Endpoint, Limits};

fn client() -> Endpoint {
    Endpoint { addr: Addr::v4([192, 0, 2, 10]), port: 4000 }
}

fn server() -> Endpoint {
    Endpoint { addr: Addr::v4([192, 0, 2, 53]), port: 53 }
}

/// A header with these flags and counts, and the question for `example.net`; what comes next lies at 29.
fn message(flags: u16, counts: [u16; 4], kind: u16, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![0x12, 0x34];
    out.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| out.extend(count.to_be_bytes()));
    out.extend(b"\x07ExAmple\x03net\0");
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out.extend(rest);
    out
}

/// A record; `owner` is written as it is.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut out = owner.to_vec();
    out.extend(kind.to_be_bytes());
    out.extend([0, 1, 0, 0, 1, 44]);
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
    out
}

fn read(bytes: &[u8], response: bool) -> Option<Lookup> {
    let mut lookup = Lookup::default();
    let (src, dst) = if response { (server(), client()) } else { (client(), server()) };
    lookup.read(bytes, src, dst, &Limits::default()).then_some(lookup)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const QUESTION: u16 = 0x0100;
const ANSWER: u16 = 0x8180;

#[test]
fn a_question() {
    let lookup = read(&message(QUESTION, [1, 0, 0, 0], kind::MX, &[]), false).unwrap();
    assert_eq!((lookup.client, lookup.server, lookup.id), (client(), server(), 0x1234));
    assert_eq!(text(lookup.name.as_bytes()), "example.net");
    assert!(!lookup.response && lookup.recursion_desired && !lookup.partial);
    assert_eq!(lookup.kind, kind::MX);
    let iterative = read(&message(0, [1, 0, 0, 0], kind::A, &[]), false).unwrap();
    assert!(!iterative.recursion_desired);
}

#[test]
fn an_answer_to_mx_with_addresses_beside() {
    let mut rest = record(&[0xc0, 12], kind::MX, b"\0\x0a\x02MX\xc0\x0c");
    rest.extend(record(&[0xc0, 12], kind::MX, b"\0\x14\x03mx2\x07example\x03com\0"));
    // The first exchanger's name lies behind the preference of the first record.
    rest.extend(record(&[0xc0, 29 + 14], kind::A, &[198, 51, 100, 7]));
    rest.extend(record(b"\x02ns\xc0\x0c", kind::A, &[198, 51, 100, 53]));
    rest.extend(record(b"\x03mx2\x07EXAMPLE\x03com\0", kind::AAAA, &[0x20; 16]));
    let lookup = read(&message(ANSWER, [1, 2, 0, 3], kind::MX, &rest), true).unwrap();
    assert_eq!((lookup.client, lookup.server), (client(), server()));
    let exchanges: Vec<String> = lookup.exchanges.iter().map(text).collect();
    assert_eq!(exchanges, ["mx.example.net", "mx2.example.com"]);
    assert_eq!(lookup.addrs, [Addr::v4([198, 51, 100, 7]), Addr::v6([0x20; 16])]);
    assert_eq!(lookup.other_addrs, [Addr::v4([198, 51, 100, 53])]);
    assert!(lookup.response && lookup.recursion_available && !lookup.partial);
}

#[test]
fn an_answer_to_a_behind_an_alias() {
    let mut rest = record(&[0xc0, 12], kind::CNAME, b"\x01m\xc0\x0c");
    rest.extend(record(b"\x01m\xc0\x0c", kind::A, &[198, 51, 100, 7]));
    let lookup = read(&message(ANSWER, [1, 2, 0, 0], kind::A, &rest), true).unwrap();
    assert_eq!((lookup.addrs.len(), lookup.other_addrs.len(), lookup.partial), (1, 0, false));
    let names: Vec<_> = Message::read(&message(ANSWER, [1, 2, 0, 0], kind::A, &rest))
        .unwrap()
        .records()
        .filter_map(|r| match r.data {
            Data::Cname(name) => Some(text(name.plain().unwrap().as_bytes())),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["m.example.net"]);
}

#[test]
fn what_is_not_whole_is_told() {
    let one = record(&[0xc0, 12], kind::A, &[198, 51, 100, 7]);
    let cut = &one[..one.len() - 1];
    for (flags, count, rest, partial) in [
        (ANSWER, 1, &one[..], false),
        (ANSWER | 0x0200, 1, &one, true),
        (ANSWER, 2, &one, true),
        (ANSWER, 1, cut, true),
        (ANSWER, 1, &[0xc0, 12, 0], true),
        (ANSWER, 0, &[], false),
    ] {
        let lookup = read(&message(flags, [1, count, 0, 0], kind::A, rest), true).unwrap();
        assert_eq!(lookup.partial, partial, "{flags:x} {count} {rest:?}");
    }
    let limits = Limits { dns_records: 3, ..Limits::default() };
    for (count, partial) in [(3, false), (4, true)] {
        let bytes = message(ANSWER, [1, count, 0, 0], kind::A, &one.repeat(count.into()));
        let mut lookup = Lookup::default();
        assert!(lookup.read(&bytes, server(), client(), &limits));
        assert_eq!((lookup.addrs.len(), lookup.partial), (3, partial));
    }
}

#[test]
fn what_is_no_common_message() {
    let good = message(QUESTION, [1, 0, 0, 0], kind::A, &[]);
    for kept in 0..good.len() {
        assert!(read(&good[..kept], false).is_none(), "{kept}");
    }
    // No question; an update; another class; an answer that does not come from port 53; one that is asked of no port 53.
    assert!(read(&message(QUESTION, [0, 0, 0, 0], kind::A, &[]), false).is_none());
    assert!(read(&message(0x2800, [1, 0, 0, 0], kind::A, &[]), false).is_none());
    let mut chaos = good.clone();
    *chaos.last_mut().unwrap() = 3;
    assert!(read(&chaos, false).is_none());
    assert!(read(&good, true).is_none());
    assert!(read(&message(ANSWER, [1, 0, 0, 0], kind::A, &[]), false).is_none());
}

#[test]
fn pointers_lead_back_and_not_far() {
    let name = |labels: &[u8]| {
        let mut bytes = message(ANSWER, [1, 1, 0, 0], kind::CNAME, &[]);
        bytes.extend(record(labels, kind::A, &[1, 2, 3, 4]));
        let message = Message::read(&bytes).unwrap();
        let plain = message.records().next().unwrap().owner.plain();
        plain.map(|p| text(p.as_bytes()))
    };
    assert_eq!(name(&[0xc0, 12]).as_deref(), Some("example.net"));
    assert_eq!(name(&[1, b'a', 0xc0, 12]).as_deref(), Some("a.example.net"));
    assert_eq!(name(&[0]).as_deref(), Some(""));
    // To itself, forward, and to where nothing is.
    assert_eq!(name(&[0xc0, 29]), None);
    assert_eq!(name(&[1, b'a', 0xc0, 29]), None);
    assert_eq!(name(&[0xc0, 60]), None);
    assert_eq!(name(&[0xff, 0xff]), None);
    // Longer than a name may be, by its own labels and by what they lead to.
    let long = [&[63; 64][..], &[63; 64], &[63; 64], &[60; 61], &[0]].concat();
    assert!(name(&long).is_some());
    let longer = [&[63; 64][..], &[63; 64], &[63; 64], &[62; 63], &[0xc0, 12]].concat();
    assert_eq!(name(&longer), None);
    // A chain of pointers: each lies before the other, and they are too many.
    let mut bytes = message(ANSWER, [1, 1, 0, 0], kind::A, &[]);
    let chain = bytes.len();
    let mut owner = vec![0xc0, 12];
    for step in 0..40 {
        owner.extend([0xc0, (chain + 2 * step) as u8]);
    }
    bytes.extend(&owner);
    let last = Name::read(&bytes, bytes.len() - 2).unwrap().0;
    assert!(last.plain().is_none());
    assert!(Name::read(&bytes, chain + 2 * 10).unwrap().0.plain().is_some());
}

#[test]
fn messages_over_tcp() {
    let list = |bytes: &[u8]| -> Vec<Result<usize, ()>> {
        Messages::of_segment(bytes).map(|m| m.map(<[u8]>::len)).collect()
    };
    assert_eq!(list(b""), []);
    assert_eq!(list(b"\0\x02ab"), [Ok(2)]);
    assert_eq!(list(b"\0\x02ab\0\x01c"), [Ok(2), Ok(1)]);
    assert_eq!(list(b"\0\x02ab\0\x04c"), [Ok(2), Err(())]);
    assert_eq!(list(b"\0"), [Err(())]);
    assert_eq!(Messages::of_datagram(b"abc").count(), 1);
}

/// Any bytes are a value, and the summary stays within its bounds.
#[test]
fn no_bytes_make_it_panic() {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut rest = record(&[0xc0, 12], kind::MX, b"\0\x0a\x02mx\xc0\x0c");
    rest.extend(record(&[0xc0, 43], kind::A, &[198, 51, 100, 7]));
    rest.extend(record(b"\x01m\xc0\x0c", kind::CNAME, &[0xc0, 12]));
    let good = message(ANSWER, [1, 1, 1, 1], kind::MX, &rest);
    let limits = Limits { dns_records: 8, ..Limits::default() };
    let (mut lookup, mut read) = (Lookup::default(), 0);
    for round in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..next(6) {
            let at = next(bytes.len());
            bytes[at] =
                [0, 1, 12, 0xc0, 0xff, 63, 29][next(7)] ^ (next(256) as u8 & (round % 2) as u8);
        }
        bytes.truncate(good.len() - next(20).min(next(20)));
        read += usize::from(lookup.read(&bytes, server(), client(), &limits));
        assert!(lookup.addrs.len() + lookup.other_addrs.len() <= 8);
        assert!(lookup.exchanges.iter().count() <= 8 && lookup.name.as_bytes().len() <= 255);
        for message in Messages::of_segment(&bytes) {
            lookup.read(message.unwrap_or_default(), server(), client(), &limits);
        }
    }
    assert!(read > 5_000, "{read}");
}
