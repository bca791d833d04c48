//! The rules that look at one connection, with their guards.

use super::*;

/// A connection as the judge asks about it.
struct Case {
    client: Addr,
    server: Endpoint,
    outbound: bool,
    public: Vec<Net>,
}

impl Case {
    /// From a public address to a public mail server, as a watched host.
    fn plain() -> Self {
        Self {
            client: addr("45.0.2.10"),
            server: Endpoint { addr: addr("45.9.9.25"), port: 25 },
            outbound: true,
            public: Vec::new(),
        }
    }

    fn ask(&self, session: &mut Session, event: FlowEvent<'_>) -> Vec<Found> {
        session.flow.client.addr = self.client;
        session.flow.server = self.server;
        let mut hits = Vec::new();
        flow_event(event, session, &Tuning::default(), &mut hits);
        let subject =
            Subject { session, outbound: self.outbound, role: Role::Unknown, public: &self.public };
        let mut found = Vec::new();
        for hit in hits {
            let entry = ALL[usize::from(hit.entry)];
            let Rule::Flow { admits, .. } = entry.rule else { continue };
            if let Some(level) = admits(&subject, hit.level) {
                found.push((entry.id, entry.levels[usize::from(level)].name));
            }
        }
        found
    }

    fn helo(&self, helo: &str) -> Vec<Found> {
        let mut session = honest(0);
        session.helo.set(helo.as_bytes(), 255);
        self.ask(&mut session, FlowEvent::Helo)
    }
}

const BARE: Found = ("helo.bare_ip", "bare");
const MISMATCH: Found = ("helo.literal_mismatch", "mismatch");
const PRIVATE: Found = ("helo.literal_private", "private");
const UNQUALIFIED: Found = ("helo.unqualified", "outbound");
const LOCALHOST: Found = ("helo.localhost", "default");
const RESERVED: Found = ("helo.reserved_suffix", "reserved");
const INVALID: Found = ("helo.syntax_invalid", "invalid");
const UNDERSCORE: Found = ("helo.syntax_invalid", "underscore");
const PERHAPS: Found = ("helo.known_bot", "perhaps");
const DESKTOP: Found = ("helo.desktop_name", "desktop");
const DYNAMIC: Found = ("helo.dynamic_pattern", "dynamic");

#[test]
fn names_said_to_a_public_server() {
    for (helo, expected) in [
        ("mail.example.org", &[][..]),
        ("MAIL.EXAMPLE.ORG.", &[INVALID]),
        ("", &[INVALID]),
        ("45.0.2.10", &[BARE]),
        ("45-0-2-10", &[BARE]),
        ("45x0x2x10", &[BARE]),
        ("45.0.2.99", &[BARE]),
        ("45.0.3.10", &[BARE, MISMATCH]),
        ("2a01:4f8::1", &[BARE, MISMATCH]),
        ("10.0.0.1", &[BARE, PRIVATE]),
        ("[45.0.2.10]", &[]),
        ("[45.0.2.99]", &[]),
        ("[45.0.3.10]", &[MISMATCH]),
        ("[192.168.1.20]", &[PRIVATE]),
        ("[100.64.0.1]", &[PRIVATE]),
        ("[127.0.0.1]", &[PRIVATE]),
        ("[169.254.1.1]", &[PRIVATE]),
        ("[203.0.113.9]", &[PRIVATE]),
        ("[255.255.255.255]", &[PRIVATE]),
        ("[IPv6:fe80::1]", &[PRIVATE]),
        ("[IPv6:2001:db8::1]", &[PRIVATE]),
        ("[IPv6:::1]", &[PRIVATE]),
        ("[mail]", &[INVALID]),
        ("[45.0.3.10", &[INVALID]),
        ("mailserver", &[UNQUALIFIED]),
        ("DESKTOP-1A2B3C", &[UNQUALIFIED]),
        ("DESKTOP-1A2B3C4", &[UNQUALIFIED, DESKTOP]),
        ("WIN-1A2B3C4D5E6.office.local", &[RESERVED, DESKTOP]),
        ("desktop-1a2b3c4.example.org", &[]),
        ("annas-iphone", &[UNQUALIFIED, DESKTOP]),
        ("mail.office.local", &[RESERVED]),
        ("Mail.Office.LAN", &[RESERVED]),
        ("printer.home.arpa", &[RESERVED]),
        ("1.2.0.192.in-addr.arpa", &[RESERVED, DYNAMIC]),
        ("mail.local.example.org", &[]),
        ("maillocal.org", &[]),
        ("local", &[UNQUALIFIED]),
        ("my_pc", &[UNQUALIFIED, UNDERSCORE]),
        ("web_1.example.org", &[UNDERSCORE]),
        ("m\u{fc}nchen.example.org", &[INVALID]),
        ("mail example", &[UNQUALIFIED, INVALID]),
        ("ylmf-pc", &[UNQUALIFIED, ("helo.known_bot", "certain"), DESKTOP]),
        ("User", &[UNQUALIFIED, PERHAPS]),
        ("www.xkqjzvbtwq.com", &[PERHAPS]),
        ("mydevice.lan", &[RESERVED, PERHAPS]),
        ("com", &[]),
        ("DE", &[]),
        ("localhost", &[LOCALHOST]),
        ("LocalHost.localdomain.", &[LOCALHOST, INVALID]),
        ("localhost6", &[LOCALHOST]),
        ("localhost.example.org", &[]),
        ("notlocalhost.example.org", &[]),
        ("45-0-2-10.pool.example.net", &[DYNAMIC]),
        ("dyn-12.net", &[]),
        ("dyn-12.access.example.net", &[DYNAMIC]),
        ("mail-45-0-2-10.access.example.net", &[]),
        ("static-45-0-2-10.access.example.net", &[]),
    ] {
        assert_eq!(Case::plain().helo(helo), expected, "{helo}");
    }
}

#[test]
fn user_agents_are_not_judged_by_their_names() {
    for port in [465, 587, 2525] {
        let mut case = Case::plain();
        case.server.port = port;
        for helo in [
            "45.0.3.10",
            "[192.168.1.20]",
            "laptop",
            "localhost",
            "dyn-12.access.example.net",
            "mac.local",
            "my_pc",
            "",
            "user",
            "desktop-1a2b3c4",
        ] {
            assert_eq!(case.helo(helo), [], "{helo} at {port}");
        }
        // What nothing honest says guesses passwords there.
        assert_eq!(case.helo("ylmf-pc"), [("helo.known_bot", "certain")]);
    }
}

#[test]
fn machines_of_the_same_network_may_say_what_they_like() {
    for server in ["10.0.0.25", "192.168.1.25", "127.0.0.1", "fe80::25", "fd00::25"] {
        let mut case = Case::plain();
        case.server.addr = addr(server);
        for helo in ["[192.168.1.20]", "printer", "localhost", "mail.local", "pc", "anna-pc"] {
            assert_eq!(case.helo(helo), [], "{helo} to {server}");
        }
    }
}

#[test]
fn strangers_are_judged_more_mildly() {
    let case = Case { outbound: false, ..Case::plain() };
    assert_eq!(case.helo("mailserver"), [("helo.unqualified", "inbound")]);
    // Of strangers it is no question what stands on their desks.
    assert_eq!(case.helo("desktop-1a2b3c4"), [("helo.unqualified", "inbound")]);
    assert_eq!(case.helo("[45.0.3.10]"), [MISMATCH]);
}

/// Behind a translation only the operator knows the address outside (guard G6).
#[test]
fn literals_of_translated_hosts() {
    let net = |text| Net::new(addr(text), 128);
    for (client, outbound, public, expected) in [
        ("10.0.0.5", true, &[][..], &[][..]),
        ("10.0.0.5", true, &[net("93.184.3.4")], &[]),
        ("10.0.0.5", true, &[net("93.184.9.9")], &[MISMATCH]),
        ("10.0.0.5", false, &[net("93.184.9.9")], &[]),
        ("45.0.2.10", true, &[], &[MISMATCH]),
        ("45.0.2.10", true, &[net("93.184.3.4")], &[]),
        // Of strangers our own addresses outside say nothing: who claims one of them lies.
        ("45.0.2.10", false, &[net("93.184.3.4")], &[MISMATCH]),
        ("93.184.3.200", true, &[], &[]),
    ] {
        let case =
            Case { client: addr(client), outbound, public: public.to_vec(), ..Case::plain() };
        assert_eq!(case.helo("[93.184.3.4]"), expected, "{client} {outbound} {public:?}");
    }
}

#[test]
fn who_truly_has_a_special_address_outside_may_say_so() {
    for (client, helo, expected) in [
        ("2002:2d00:20a::1", "[IPv6:2002:2d00:20a::1]", &[][..]),
        ("192.0.2.10", "[192.0.2.10]", &[]),
        ("192.0.2.10", "[192.0.2.11]", &[PRIVATE]),
        ("10.0.0.5", "[10.0.0.5]", &[PRIVATE]),
    ] {
        let case = Case { client: addr(client), ..Case::plain() };
        assert_eq!(case.helo(helo), expected, "{client} says {helo}");
    }
}

#[test]
fn an_argument_that_was_cut_says_nothing() {
    let mut session = honest(0);
    session.helo.set(b"mailserver.example.org", 10);
    assert_eq!(Case::plain().ask(&mut session, FlowEvent::Helo), []);
    // But that it is too long.
    for (length, expected) in [(255, &[][..]), (256, &[INVALID])] {
        let name = ["a."; 128].concat().into_bytes();
        session.helo.set(&name[..length - 1], 200);
        session.helo.count(1);
        assert_eq!(Case::plain().ask(&mut session, FlowEvent::Helo), expected, "{length}");
    }
}

/// The tracker says when; this is about what the guards let through.
#[test]
fn speaking_before_the_greeting() {
    let yes = &[("session.pregreet", "early")][..];
    let whole = CaptureState::empty();
    for (first, port, capture, server_packets, expected) in [
        ("EHLO ylmf-pc\r\n", 25, whole, 3, yes),
        ("EHLO ylmf-pc\r\n", 587, whole, 3, yes),
        ("EHLO ylmf-pc\r\n", 465, whole, 3, &[]),
        ("EHLO ylmf-pc\r\n", 25, CaptureState::GAP, 3, &[]),
        ("EHLO ylmf-pc\r\n", 25, CaptureState::JOINED_LATE, 3, &[]),
        ("EHLO ylmf-pc\r\n", 25, CaptureState::ONE_SIDED, 0, &[]),
        ("\x16\x03\x01\x02", 25, whole, 3, &[]),
        ("GET / HTTP/1.1\r\n", 25, whole, 3, &[]),
        ("POST / HTTP/1.1\r\n", 25, whole, 3, &[]),
        ("CONNECT x:25 HTTP/1.1\r\n", 25, whole, 3, &[]),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 25\r\n", 25, whole, 3, &[]),
        ("\r\n\r\n\0\r\nQUIT\n", 25, whole, 3, &[]),
        ("SSH-2.0-x\r\n", 25, whole, 3, &[]),
        ("", 25, whole, 3, &[]),
        ("GETX\r\n", 25, whole, 3, yes),
    ] {
        let mut case = Case::plain();
        case.server.port = port;
        let mut session = Session { capture, server_packets, ..honest(0) };
        let event = FlowEvent::Pregreet {
            first: first.as_bytes(),
            in_syn: false,
            before_greeting: Some(SECOND),
        };
        assert_eq!(case.ask(&mut session, event), expected, "{first:?} {port} {capture:?}");
    }
}

#[test]
fn a_second_name_in_a_session() {
    let changes = &[("helo.changes_in_session", "changes")][..];
    for (before, now, capture, capabilities, port, expected) in [
        ("a.example.org", "b.example.org", NONE, PLAIN, 25, changes),
        ("", "b.example.org", NONE, PLAIN, 25, &[]),
        ("A.example.org", "a.EXAMPLE.org", NONE, PLAIN, 25, &[]),
        ("a.example.org.", "a.example.org", NONE, PLAIN, 25, &[]),
        ("a.example.org", "b.example.org", CaptureState::GAP, PLAIN, 25, &[]),
        ("a.example.org", "b.example.org", NONE, Capability::XCLIENT, 25, &[]),
        ("a.example.org", "b.example.org", NONE, PLAIN, 587, &[]),
    ] {
        let mut case = Case::plain();
        case.server.port = port;
        let mut session = Session { capture, capabilities, ..honest(0) };
        session.helo_before.set(before.as_bytes(), 255);
        session.helo.set(now.as_bytes(), 255);
        assert_eq!(case.ask(&mut session, FlowEvent::Helo), expected, "{before} {now} {port}");
    }
}

const NONE: CaptureState = CaptureState::empty();
const PLAIN: Capability = Capability::empty();

/// A session that is over, of a client that did this.
fn closed(conduct: Conduct) -> Vec<Found> {
    Case::plain().closed(conduct)
}

impl Case {
    fn closed(&self, conduct: Conduct) -> Vec<Found> {
        let mut session = Session { conduct, ..honest(0) };
        self.ask(&mut session, FlowEvent::Closed)
    }
}

const FALSE_END: FalseEnd = FalseEnd { sequence: "\\n.\\n", offset: 7, command: None };

/// Every kind of conduct, just enough of it.
fn bad() -> Vec<(Conduct, Found)> {
    let ignored = Ignored { command: "MAIL", code: 550, next: "RCPT" };
    let foreign = |foreign| Conduct { foreign: Some(foreign), ..Conduct::default() };
    vec![
        (Conduct { no_helo: true, ..Conduct::default() }, ("helo.missing", "missing")),
        (Conduct { ahead: 2, ..Conduct::default() }, ("session.unauthorised_pipelining", "ahead")),
        (
            Conduct { ignored: 1, first_ignored: Some(ignored), ..Conduct::default() },
            ("session.ignores_rejection", "goes_on"),
        ),
        (Conduct { early_text: 1, ..Conduct::default() }, ("session.data_before_354", "early")),
        (foreign(Foreign::Http), ("session.non_smtp_command", "outbound")),
        (foreign(Foreign::Ssh), ("session.non_smtp_command", "outbound")),
        (foreign(Foreign::Rdp), ("session.non_smtp_command", "outbound")),
        (foreign(Foreign::Header), ("session.non_smtp_command", "outbound")),
        (foreign(Foreign::Tls), ("session.non_smtp_command", "tls")),
        (Conduct { errors: 10, ..Conduct::default() }, ("session.error_flood", "flood")),
        (Conduct { unknown: 20, ..Conduct::default() }, ("session.error_flood", "flood")),
        (Conduct { junk: 101, ..Conduct::default() }, ("session.error_flood", "flood")),
        (Conduct { bare_in_commands: 1, ..Conduct::default() }, ("session.bare_newline", "bare")),
        (Conduct { bare_in_text: 1, ..Conduct::default() }, ("session.bare_newline", "bare")),
        (
            Conduct { false_end: Some(FALSE_END), ..Conduct::default() },
            ("session.smuggling_eod", "notice"),
        ),
        (
            Conduct {
                false_end: Some(FalseEnd { command: Some("MAIL"), ..FALSE_END }),
                ..Conduct::default()
            },
            ("session.smuggling_eod", "attack"),
        ),
    ]
}

#[test]
fn conduct_at_its_thresholds() {
    for (conduct, found) in bad() {
        assert_eq!(closed(conduct), [found], "{conduct:?}");
    }
    for conduct in [
        Conduct::default(),
        Conduct { ahead: 1, ..Conduct::default() },
        Conduct { errors: 9, unknown: 19, junk: 100, ..Conduct::default() },
        Conduct { helo_is_recipient: true, ..Conduct::default() },
    ] {
        assert_eq!(closed(conduct), [], "{conduct:?}");
    }
}

/// Guard G8: nothing is argued from a session of which something is missing.
#[test]
fn conduct_that_a_gap_may_excuse() {
    for capture in [
        CaptureState::GAP,
        CaptureState::JOINED_LATE,
        CaptureState::ONE_SIDED,
        CaptureState::SNAPLEN,
        CaptureState::LIMIT,
    ] {
        for (conduct, _) in bad() {
            let mut session = Session { conduct, capture, ..honest(0) };
            assert_eq!(Case::plain().ask(&mut session, FlowEvent::Closed), [], "{capture:?}");
        }
    }
}

/// Guard G1: what a program of one's own says to a server of one's own.
#[test]
fn conduct_within_ones_own_network() {
    let mut case = Case::plain();
    case.server.addr = addr("10.0.0.25");
    for (conduct, found) in bad() {
        let judged = matches!(
            found.0,
            "helo.missing"
                | "session.non_smtp_command"
                | "session.bare_newline"
                | "session.smuggling_eod"
        );
        assert_eq!(case.closed(conduct).len(), usize::from(judged), "{conduct:?}");
    }
}

#[test]
fn other_protocols_are_judged_by_whom_they_are_said_to() {
    let http = Conduct { foreign: Some(Foreign::Http), ..Conduct::default() };
    let tls = Conduct { foreign: Some(Foreign::Tls), ..Conduct::default() };
    let answered = Conduct { plain_answer: true, ..tls };
    let inbound = &[("session.non_smtp_command", "inbound")][..];
    let quiet = &[("session.non_smtp_command", "tls")][..];
    for (conduct, greeting_code, port, outbound, expected) in [
        (http, Some(220), 25, false, inbound),
        (tls, Some(220), 25, false, inbound),
        // Who does not greet is perhaps a web server.
        (http, None, 25, true, &[]),
        (tls, None, 25, true, &[]),
        (answered, None, 25, true, quiet),
        (tls, Some(220), 465, true, &[]),
        (tls, Some(220), 587, true, &[]),
    ] {
        let mut case = Case { outbound, ..Case::plain() };
        case.server.port = port;
        let mut session = Session { conduct, greeting_code, ..honest(0) };
        assert_eq!(case.ask(&mut session, FlowEvent::Closed), expected, "{conduct:?} {port}");
    }
}
