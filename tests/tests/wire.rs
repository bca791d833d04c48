//! What the simulated stacks put on the wire, packet by packet: sequence and acknowledgement numbers written by hand.

use botlike_tests::packet::{Flags, Packet, Side};
use botlike_tests::{script, wire};

/// One line for each packet: side, flags, sequence and acknowledgement number counted from the first byte, payload
/// length, and the milliseconds since the packet before.
fn shown(body: &str) -> Vec<String> {
    let script = script::parse(&format!("# a script\n~isn C 999\n~isn S 4999\n{body}"))
        .unwrap_or_else(|e| panic!("{e}"));
    let packets = wire::play(&script).unwrap_or_else(|e| panic!("{e}")).packets;
    let mut before = packets.first().map_or(0, |p| p.at);
    let mut line = |p: &Packet| {
        let (own, other) = if p.from == Side::Client { (1000, 5000) } else { (5000, 1000) };
        let flags: String =
            [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R'), (Flags::ACK, '.')]
                .iter()
                .filter(|(flag, _)| p.flags.contains(*flag))
                .map(|(_, c)| *c)
                .collect();
        let ack = if p.flags.contains(Flags::ACK) {
            (p.ack.wrapping_sub(other) as i32).to_string()
        } else {
            "-".into()
        };
        let after = (p.at - std::mem::replace(&mut before, p.at)) / 1_000_000;
        let side = if p.from == Side::Client { 'C' } else { 'S' };
        format!(
            "{side}{flags} {} {ack} {} +{after}",
            p.seq.wrapping_sub(own) as i32,
            p.payload.len()
        )
    };
    packets.iter().map(&mut line).collect()
}

const HANDSHAKE: [&str; 3] = ["CS -1 - 0 +0", "SS. -1 0 0 +10", "C. 0 0 0 +1"];

#[track_caller]
fn check(body: &str, after_handshake: &[&str]) {
    let wanted: Vec<&str> = HANDSHAKE.iter().chain(after_handshake).copied().collect();
    assert_eq!(shown(body), wanted);
}

#[test]
fn a_dialogue_and_its_end() {
    check(
        "S: 220 hi\nC: QUIT\nS: 221\n~close S\n",
        &[
            "S. 0 0 8 +10",
            "C. 0 8 6 +10",
            "S. 8 6 5 +10",
            "C. 6 13 0 +1",
            "SF. 13 6 0 +10",
            "CF. 6 14 0 +10",
            "S. 14 7 0 +1",
        ],
    );
}

#[test]
fn who_speaks_early_acknowledges_less() {
    check(
        "S: 220 hi\nC! EHLO a\nS: 250 a\n",
        &["S. 0 0 8 +10", "C. 0 0 8 +10", "C. 8 8 0 +1", "S. 8 8 7 +10", "C. 8 15 0 +1"],
    );
    // Before anything was said there is nothing to acknowledge; the greeting's sender has received it.
    check("C! EHLO a\nS: 220 hi\n", &["C. 0 0 8 +10", "S. 0 8 8 +10", "C. 8 8 0 +1"]);
}

#[test]
fn what_is_lost_was_received_all_the_same() {
    check("~gap S 30\nC: A\n", &["C. 0 30 3 +20", "S. 30 3 0 +1"]);
    check(
        "C: A\n~gap C 120\nS: 1\n",
        &["C. 0 0 3 +10", "S. 0 3 0 +1", "S. 0 123 3 +20", "C. 123 3 0 +1"],
    );
    check("~lost\nS: 220 hi\nC: A\n", &["C. 0 8 3 +20", "S. 8 3 0 +1"]);
    check("~cut 2 3\n~lost 2\nC> abcdefg\n", &["C. 0 0 2 +10", "C. 5 0 2 +0", "S. 0 7 0 +1"]);
}

#[test]
fn repeated_and_odd_segments() {
    check("C: A\n~retransmit C\n", &["C. 0 0 3 +10", "S. 0 3 0 +1", "C. 0 0 3 +200"]);
    check("~order 2 1\n~cut 2\nC: A\n", &["C. 2 0 1 +10", "C. 0 0 2 +0", "S. 0 3 0 +1"]);
    check("C> abcd\n~overlap C 3 xyz12\n", &["C. 0 0 4 +10", "S. 0 4 0 +1", "C. 1 0 5 +10"]);
    check(
        "C: A\n~keepalive C 1\n",
        &["C. 0 0 3 +10", "S. 0 3 0 +1", "C. 2 0 1 +10", "S. 0 3 0 +1"],
    );
    check("~with-fin\nC: A\nS: 1\n", &["CF. 0 0 3 +10", "S. 0 4 3 +10", "C. 4 3 0 +1"]);
}

#[test]
fn a_closed_window_is_probed() {
    check(
        "~probe C\nC: AB\n",
        &[
            "S. 0 0 0 +1",
            "C. 0 0 1 +5000",
            "S. 0 0 0 +1",
            "S. 0 0 0 +5000",
            "C. 0 0 4 +10",
            "S. 0 4 0 +1",
        ],
    );
}

#[test]
fn attempts() {
    assert_eq!(shown("~syn-fail 3\n"), ["CS -1 - 0 +0", "CS -1 - 0 +1000", "CS -1 - 0 +2000"]);
    assert_eq!(shown("~syn-refused\n")[1], "SR. -5000 0 0 +10");
    let late = shown("~syn 2\n~handshake\n");
    assert_eq!(late, ["CS -1 - 0 +0", "CS -1 - 0 +1000", "SS. -1 0 0 +10", "C. 0 0 0 +1"]);
    assert_eq!(
        shown("~syn-data EHLO a\\r\\n\n~handshake\n"),
        ["CS -1 - 8 +0", "SS. -1 8 0 +10", "C. 8 0 0 +1"]
    );
    assert_eq!(shown("~hide syn-ack\nC: A\n")[..2], ["CS -1 - 0 +0", "C. 0 0 0 +11"]);
    assert_eq!(shown("~no-handshake\nC: A\n"), ["C. 0 0 3 +0", "S. 0 3 0 +1"]);
    assert_eq!(shown("~one-side S\nC: A\nS: 1\n"), ["SS. -1 0 0 +0", "S. 0 3 3 +21"]);
}

#[test]
fn resets() {
    check("S: 220 hi\n~rst C\n", &["S. 0 0 8 +10", "CR. 0 8 0 +10"]);
    check("S: 220 hi\n~rst C bare\n", &["S. 0 0 8 +10", "CR 0 - 0 +10"]);
}
