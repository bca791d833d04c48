//! Everybody who plays, as data: what they do, what must be found of them, and what may be.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use super::talk::Guest;
use super::{bots, honest, plan};

/// One who plays.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// In one word or two.
    pub name: &'static str,
    /// Behind which tap.
    pub tap: &'static str,
    /// Which of its addresses.
    pub host: u8,
    /// It asks for STARTTLS where that is offered.
    pub tls: bool,
    /// In words.
    pub does: &'static str,
    /// Detections that must be found. None: it is honest.
    pub found: &'static [&'static str],
    /// Detections of severity medium or above that are right as well. Of an honest actor there are none.
    pub also: &'static [&'static str],
    /// It answers at port 25, so that the sensor sees a mail host.
    pub greets: bool,
    /// What it does, in its own network.
    pub script: fn(&Guest) -> io::Result<()>,
}

impl Actor {
    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        plan::TAPS
            .iter()
            .find(|tap| tap.name == self.tap)
            .map_or(Ipv4Addr::UNSPECIFIED, |tap| tap.host(self.host))
    }

    /// Whether it is one of those that must be left alone.
    pub fn is_honest(&self) -> bool {
        self.found.is_empty()
    }
}

const fn bot(
    host: u8,
    name: &'static str,
    does: &'static str,
    found: &'static [&'static str],
    also: &'static [&'static str],
    script: fn(&Guest) -> io::Result<()>,
) -> Actor {
    Actor { name, tap: "tap-bots", host, tls: false, does, found, also, greets: false, script }
}

const fn under_tls(mut actor: Actor) -> Actor {
    actor.tap = "tap-tls";
    actor.tls = true;
    actor
}

const fn honest(
    host: u8,
    name: &'static str,
    does: &'static str,
    tls: bool,
    greets: bool,
    script: fn(&Guest) -> io::Result<()>,
) -> Actor {
    Actor { name, tap: "tap-mail", host, tls, does, found: &[], also: &[], greets, script }
}

/// Many calls within a minute: true of every bot that is in a hurry.
const FAST: &str = "fanout.conn_rate";

/// All of them.
#[rustfmt::skip]
pub const CAST: &[Actor] = &[
    honest(2, "mail host",
        "sends to fifty servers: DNS first, STARTTLS, pipelining, a queue", true, true, honest::mail_host),
    honest(3, "small mail host",
        "sends in the clear, comes back to those that greylist", false, true, honest::small_mail_host),
    honest(4, "newsletter",
        "writes to many at once; its role is bulk", true, false, honest::newsletter),
    honest(5, "monitor",
        "calls two servers again and again; its role is monitor", false, false, honest::monitor),
    honest(6, "user agent",
        "hands in mail at port 587 under the name of a laptop", true, false, honest::user_agent),
    honest(7, "put off",
        "is told 421 and comes back", false, true, honest::put_off),
    honest(8, "twice refused",
        "two receivers refuse it with 554", true, true, honest::twice_refused),
    honest(9, "web shop",
        "sends some letters over its provider's server", true, false, honest::web_shop),
    honest(10, "administrator",
        "surfs, and looks up one mail exchanger by hand", false, false, honest::administrator),
    //
    bot(2, "pregreet", "talks before the greeting",
        &["session.pregreet"], &[], bots::pregreet),
    bot(3, "bare ip", "says its address for a name",
        &["helo.bare_ip"], &[], bots::bare_ip),
    bot(4, "localhost", "calls itself localhost",
        &["helo.localhost"], &[], bots::localhost),
    bot(5, "desktop", "says the name of a PC as it leaves the factory",
        &["helo.desktop_name", "helo.unqualified"], &[], bots::desktop),
    bot(6, "access line", "says the name of an access line",
        &["helo.dynamic_pattern"], &[], bots::access_line),
    bot(7, "office.local", "says a name that exists nowhere else",
        &["helo.reserved_suffix"], &[], bots::reserved),
    bot(8, "garbled", "says a name that is none by its letters",
        &["helo.syntax_invalid"], &[], bots::garbled),
    bot(9, "private literal", "says a private address",
        &["helo.literal_private"], &[], bots::private_literal),
    bot(10, "foreign literal", "says somebody else's address",
        &["helo.literal_mismatch"], &[], bots::foreign_literal),
    bot(11, "random names", "says another random name each time",
        &["helo.random_label", "helo.varies_per_ip"], &[], bots::random_names),
    bot(12, "ylmf-pc", "guesses passwords as ylmf-pc",
        &["helo.known_bot"], &["helo.unqualified", "helo.desktop_name"], bots::ylmf),
    bot(13, "victim", "says the name of the server it calls",
        &["helo.victim_name"], &[], bots::victim),
    bot(14, "two names", "says two names in one session",
        &["helo.changes_in_session"], &[], bots::two_names),
    bot(15, "nameless", "begins with MAIL",
        &["helo.missing"], &[], bots::nameless),
    bot(16, "pipeliner", "sends commands in one go where that is not offered",
        &["session.unauthorised_pipelining"], &[], bots::pipeliner),
    bot(17, "deaf", "goes on when its recipients are refused",
        &["session.ignores_rejection"], &["session.non_smtp_command"], bots::deaf),
    bot(18, "hasty", "sends the text before it may",
        &["session.data_before_354"], &[], bots::hasty),
    bot(19, "http", "posts HTTP to port 25",
        &["session.non_smtp_command"], &["session.unauthorised_pipelining"], bots::http),
    bot(20, "resetter", "ends with a reset",
        &["session.rst_close", "session.no_quit"], &[FAST], bots::resetter),
    bot(21, "hanger", "hangs up without QUIT",
        &["session.no_quit"], &[FAST], bots::hanger),
    bot(22, "looper", "says EHLO and QUIT again and again",
        &["session.helo_quit_loop"], &[FAST], bots::looper),
    bot(23, "babbler", "says what no server knows",
        &["session.error_flood"], &[], bots::babbler),
    bot(24, "smuggler", "hides a second letter in the first",
        &["session.smuggling_eod", "session.bare_newline"], &[], bots::smuggler),
    bot(25, "bare newlines", "ends lines with LF alone",
        &["session.bare_newline"], &[], bots::bare_newlines),
    bot(26, "swarm", "sixty connections at once to one server",
        &["session.concurrency"], &[], bots::swarm),
    bot(27, "spreader", "writes to many servers",
        &["fanout.dst_ips", FAST], &[], bots::spreader),
    bot(28, "sweeper", "knocks at address after address",
        &["fanout.port25_sweep"], &["fanout.syn_fail_ratio", "fanout.dst_ips", FAST], bots::sweeper),
    bot(29, "mx seeker", "looks up mail exchangers and calls them, and is no mail host",
        &["fanout.mx_query_nonmailer"], &[], bots::mx_seeker),
    bot(30, "listed targets", "calls addresses that it never asked the name service for",
        &["fanout.no_dns_before_connect"], &[FAST], bots::listed_targets),
    bot(31, "bypasser", "asks a foreign name server for mail exchangers",
        &["fanout.resolver_bypass"], &["fanout.mx_query_nonmailer"], bots::bypasser),
    bot(32, "stale list", "calls servers that are gone",
        &["fanout.syn_fail_ratio"], &["fanout.dst_ips", FAST], bots::stale_list),
    bot(33, "silent", "comes and goes without a word",
        &["session.empty_connect"], &[FAST], bots::silent),
    bot(34, "holder", "keeps connections open",
        &["session.hold_open"], &[], bots::holder),
    bot(35, "open talker", "is offered STARTTLS and never asks for it",
        &["dialect.ignores_starttls"], &[FAST], bots::open_talker),
    bot(36, "listed", "is refused with 554 everywhere",
        &["reply.banner_refusal"], &[], bots::listed),
    //
    Actor { tap: "tap-shut", ..bot(2, "shut in", "its port 25 is blocked: it tries many servers and reaches none",
        &["fanout.egress_blocked"], &["fanout.dst_ips", FAST], bots::shut_in) },
    //
    under_tls(bot(2, "pregreet, TLS", "talks before the greeting, then STARTTLS",
        &["session.pregreet"], &[], bots::pregreet)),
    under_tls(bot(3, "bare ip, TLS", "says its address for a name, then STARTTLS",
        &["helo.bare_ip"], &[], bots::bare_ip)),
    under_tls(bot(4, "localhost, TLS", "calls itself localhost, then STARTTLS",
        &["helo.localhost"], &[], bots::localhost)),
    under_tls(bot(5, "desktop, TLS", "says the name of a PC, then STARTTLS",
        &["helo.desktop_name", "helo.unqualified"], &[], bots::desktop)),
    under_tls(bot(6, "access line, TLS", "says the name of an access line, then STARTTLS",
        &["helo.dynamic_pattern"], &[], bots::access_line)),
    under_tls(bot(7, "random names, TLS", "says another random name each time, then STARTTLS",
        &["helo.random_label", "helo.varies_per_ip"], &[], bots::random_names)),
    under_tls(bot(8, "ylmf-pc, TLS", "guesses passwords under TLS, as ylmf-pc before it",
        &["helo.known_bot"], &["helo.unqualified", "helo.desktop_name"], bots::ylmf)),
    under_tls(bot(9, "victim, TLS", "says the name of the server it calls, then STARTTLS",
        &["helo.victim_name"], &[], bots::victim)),
    under_tls(bot(10, "swarm, TLS", "sixty connections at once, all under TLS",
        &["session.concurrency"], &[], bots::swarm)),
    under_tls(bot(11, "spreader, TLS", "writes to many servers under TLS",
        &["fanout.dst_ips", FAST], &[], bots::spreader)),
    under_tls(bot(12, "mx seeker, TLS", "looks up mail exchangers and calls them, all under TLS",
        &["fanout.mx_query_nonmailer"], &[], bots::mx_seeker)),
    under_tls(bot(13, "listed targets, TLS", "calls addresses that it never asked for, under TLS",
        &["fanout.no_dns_before_connect"], &[FAST], bots::listed_targets)),
    under_tls(bot(14, "holder, TLS", "keeps connections open under TLS",
        &["session.hold_open"], &[], bots::holder)),
];

/// The file of the sensor's lines, as JSON.
pub const LINES: &str = "lines.jsonl";
/// The same to be read by people.
pub const READABLE: &str = "lines.txt";

/// The sensor's configuration, with its lines in a folder.
pub fn config(folder: &Path) -> String {
    let mut text = String::from(
        "# What an operator of this host would write, and windows that fit into half a minute.\n\
         [capture]\nports = [25, 587]\n# Else \"metadata\": these are taps of guests.\nobserve = \"full\"\n\n\
         [network]\nwatched = [\"192.0.2.0/24\"]\n\n\
         [limits]\nhandshake_timeout = \"4s\"\n\n\
         [detect.\"fanout.no_dns_before_connect\"]\nwarmup = \"1s\"\n\n\
         [detect.\"session.hold_open\"]\nidle = \"2s\"\n",
    );
    text.push_str(&format!("\n[dns]\nresolvers = [\"{}\"]\n", plan::RESOLVER));
    for (name, file, format) in [("siem", LINES, "json"), ("people", READABLE, "pretty")] {
        let file = folder.join(file).display().to_string();
        text.push_str(&format!("\n[output.{name}]\nfile = {file:?}\nformat = \"{format}\"\n"));
    }
    for (name, role) in [("newsletter", "bulk"), ("monitor", "monitor")] {
        if let Some(actor) = CAST.iter().find(|actor| actor.name == name) {
            text.push_str(&format!("\n[hosts.\"{}\"]\nrole = \"{role}\"\n", actor.address()));
        }
    }
    // Who is unknown is observed for ten minutes, else.
    text.push_str("\n[detect.\"fanout.mx_query_nonmailer\"]\nobserved = \"0s\"\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everybody_has_an_address_and_a_name_of_their_own() {
        let addresses: BTreeSet<_> = CAST.iter().map(Actor::address).collect();
        let names: BTreeSet<_> = CAST.iter().map(|actor| actor.name).collect();
        assert_eq!((addresses.len(), names.len()), (CAST.len(), CAST.len()));
        assert!(!addresses.contains(&Ipv4Addr::UNSPECIFIED));
    }

    /// Detections that no half minute can show, each with the reason.
    const ABSENT: [(&str, &str); 1] =
        [("fanout.first_contact_ratio", "asks for a host that is known for a week")];

    #[test]
    fn every_detection_has_its_bot_and_every_bot_its_detection() {
        let there: BTreeSet<_> = botlike::rules::ALL.iter().map(|entry| entry.id).collect();
        let played: BTreeSet<_> = CAST.iter().flat_map(|actor| actor.found).copied().collect();
        let absent = ABSENT.iter().map(|(id, _)| *id);
        assert_eq!(there, played.into_iter().chain(absent).collect());
    }

    #[test]
    fn no_script_knows_the_sensor() {
        for text in [
            include_str!("bots.rs"),
            include_str!("honest.rs"),
            include_str!("talk.rs"),
            include_str!("receiver.rs"),
            include_str!("names.rs"),
            include_str!("tls.rs"),
        ] {
            assert!(!text.contains(concat!("bot", "like")), "{}", &text[..60]);
        }
    }
}
