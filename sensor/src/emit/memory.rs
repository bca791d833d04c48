//! The sensor's memory at worst, as one formula over its limits.

use std::mem::size_of;

use botlike_core::base::{Limits, Text};
use botlike_core::detect::Evidence;
use botlike_core::judge::Finding;
use botlike_core::smtp::{Message, Session};

/// A tracked connection: its entry of 80 bytes, deadlines, and its share of an index that is half full.
const FLOW: u64 = 160;
/// A connection with a dialogue, beside its facts, lines and queues: the ends of both streams and the states.
const CONNECTION: u64 = 4 << 10;
/// A pending command with its kind and place.
const PENDING: u64 = 24;
/// Places for segments that wait which an assembler keeps.
const PLACES: u64 = 16 * 96;
/// A fragmented datagram, beside its bytes.
const DATAGRAM: u64 = 512;
/// A flow and its interface, or a SYN that is kept, and its share of an index that is half full.
const POINT: u64 = 256;
/// A judged host: windows, distinct counts and names of all rules, and its share of the index; its filters aside.
const HOST: u64 = 32 << 10;
/// Evidence of a finding: eight pieces, each with a HELO argument's bytes.
const PIECES: u64 = 8;
/// What is there without any traffic: code, the reader's buffers, the output's.
const BASE: u64 = 16 << 20;

/// Bytes that tables and buffers take when every limit is reached at once, for `workers` workers.
///
/// Tables grow on demand, so a common run takes a hundredth of it. Where a limit counts things of a known type, that
/// type's size is taken; what lies behind it is a constant above, rounded up.
///
/// ```text
///   base
/// + flows × flow + sessions × (session + lines of both sides + pending + places + (1 + waiting_transactions) × message)
/// + reorder_total, in which what a waiting segment takes beside its bytes is counted
/// + 2 × (fragment_bytes + fragment_datagrams × datagram)
/// + (2 × point_flows + point_handshakes) × point
/// + hosts × (host + 2 × (dns_filter_bytes + history_filter_bytes)) + findings × (finding + evidence)
/// ```
///
/// Limits of tables hold for the whole sensor, those of fragments for each worker's front end, once for TCP and once for
/// DNS.
pub fn worst_case(limits: &Limits, workers: usize) -> u64 {
    let size = |n: usize| n as u64;
    let message = sum([
        size(size_of::<Message>()),
        times(2, limits.path_bytes),
        times(size(limits.recipients), limits.path_bytes.saturating_add(4)),
        times(7, limits.field_bytes),
    ]);
    // The transaction that is open, and those that wait for the answer to their end of data.
    let messages = times(message, limits.waiting_transactions.saturating_add(1));
    let session = sum([
        CONNECTION,
        size(size_of::<Session>()),
        times(3, limits.helo_bytes),
        times(2, limits.line_bytes),
        times(PENDING, limits.pending_commands),
        messages,
        PLACES,
    ]);
    let piece =
        sum([size(size_of::<Evidence>()), size(size_of::<Text>()), size(limits.helo_bytes)]);
    let finding = sum([size(size_of::<Finding>()), PIECES.saturating_mul(piece)]);
    let filters = sum([size(limits.dns_filter_bytes), size(limits.history_filter_bytes)]);
    let host = sum([HOST, filters.saturating_mul(2)]);
    let fragments = sum([size(limits.fragment_bytes), times(DATAGRAM, limits.fragment_datagrams)]);
    // Of connections and of datagrams.
    let points = sum([times(2 * POINT, limits.point_flows), times(POINT, limits.point_handshakes)]);
    sum([
        BASE,
        points,
        times(FLOW, limits.flows),
        times(session, limits.sessions),
        size(limits.reorder_total),
        times(fragments.saturating_mul(2), workers.max(1)),
        times(host, limits.hosts),
        times(finding, limits.findings),
    ])
}

fn sum<const N: usize>(parts: [u64; N]) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

fn times(bytes: u64, count: usize) -> u64 {
    bytes.saturating_mul(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_a_table_counts() {
        let base = worst_case(&Limits::default(), 1);
        for name in [
            "flows",
            "sessions",
            "reorder_total",
            "fragment_datagrams",
            "fragment_bytes",
            "line_bytes",
            "pending_commands",
            "waiting_transactions",
            "helo_bytes",
            "point_flows",
            "point_handshakes",
            "path_bytes",
            "recipients",
            "field_bytes",
            "hosts",
            "dns_filter_bytes",
            "history_filter_bytes",
            "findings",
        ] {
            let mut limits = Limits::default();
            let value =
                limits.list().find(|(n, ..)| *n == name).map(|(_, value, _)| value).unwrap();
            assert!(limits.set(name, value * 2));
            assert!(worst_case(&limits, 1) > base, "{name}");
        }
        assert!(worst_case(&Limits::default(), 2) > base);
    }

    #[test]
    fn absurd_limits_saturate() {
        let mut limits = Limits::default();
        for name in Limits::default().list().map(|(name, ..)| name) {
            limits.set(name, 1 << 62);
        }
        assert_eq!(worst_case(&limits, usize::MAX), u64::MAX);
    }
}
