//! Scripts of bots. Each does one thing that mail servers do not; all else it does as they do.

use std::io;
use std::thread::{self, sleep};
use std::time::Duration;

use super::names::{A, MX};
use super::plan;
use super::talk::{Guest, Talk, text};

const FROM: &str = "sales@mills.example.net";
/// What an ordinary name looks like. None of the bots that are found for something else is found for its name.
const NAME: &str = "relay.mills.example.net";

/// One letter to a receiver, and QUIT.
fn deliver(guest: &Guest, index: u8, name: &str) -> io::Result<()> {
    let mut talk = guest.session(plan::receiver(index), name)?;
    letter(&mut talk, index)?;
    talk.quit()
}

fn letter(talk: &mut Talk, index: u8) -> io::Result<()> {
    let to = format!("reader@{}", plan::domain(index));
    talk.letter(FROM, &[&to], &text(FROM, &to, "your invoice")).map(drop)
}

/// Some receivers of the kind that the guest wants to speak with.
fn some(guest: &Guest, many: u8) -> impl Iterator<Item = u8> + use<> {
    let from = if guest.tls { plan::TLS } else { plan::PLAIN };
    from.cycle().take(many.into())
}

/// A greeting is not waited for.
pub(super) fn pregreet(guest: &Guest) -> io::Result<()> {
    for index in if guest.tls { plan::AUTH } else { plan::SLOW } {
        let mut talk = guest.call(plan::receiver(index))?;
        talk.say(format!("EHLO {NAME}\r\n"))?;
        talk.greeting()?;
        talk.reply()?;
        if guest.tls {
            talk.starttls()?;
            talk.ehlo(NAME)?;
        }
        letter(&mut talk, index)?;
        talk.quit()?;
    }
    Ok(())
}

fn called(guest: &Guest, name: &str) -> io::Result<()> {
    some(guest, 3).try_for_each(|index| deliver(guest, index, name))
}

/// Its own address is its name.
pub(super) fn bare_ip(guest: &Guest) -> io::Result<()> {
    called(guest, &guest.address.to_string())
}

/// The name that every machine has for itself.
pub(super) fn localhost(guest: &Guest) -> io::Result<()> {
    called(guest, "localhost.localdomain")
}

/// The name of a PC as it leaves the factory.
pub(super) fn desktop(guest: &Guest) -> io::Result<()> {
    called(guest, "DESKTOP-7K3J2Q1")
}

/// The name of an access line.
pub(super) fn access_line(guest: &Guest) -> io::Result<()> {
    let [a, b, c, d] = guest.address.octets();
    called(guest, &format!("{a}-{b}-{c}-{d}.dsl.dynamic.carrier.example.net"))
}

/// A name that exists behind a front door only.
pub(super) fn reserved(guest: &Guest) -> io::Result<()> {
    called(guest, "mail.office.local")
}

/// No name at all, by its letters.
pub(super) fn garbled(guest: &Guest) -> io::Result<()> {
    called(guest, "mail..office%4.mills.example.net")
}

/// A private address as its name.
pub(super) fn private_literal(guest: &Guest) -> io::Result<()> {
    called(guest, "[10.11.12.13]")
}

/// Somebody else's address as its name.
pub(super) fn foreign_literal(guest: &Guest) -> io::Result<()> {
    called(guest, "[11.22.33.44]")
}

/// Another name each time, drawn from letters.
pub(super) fn random_names(guest: &Guest) -> io::Result<()> {
    let mut dice = 0x9e37_79b9_u32 ^ guest.address.to_bits();
    for index in some(guest, 7) {
        let mut label = String::new();
        for _ in 0..12 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            label.push(char::from(b"bcdfghjklmnpqrstvwxz0123456789"[(dice >> 24) as usize % 30]));
        }
        deliver(guest, index, &format!("{label}.{}.example", &label[..6]))?;
    }
    Ok(())
}

/// The guesser of passwords that calls itself after a pirated Windows.
pub(super) fn ylmf(guest: &Guest) -> io::Result<()> {
    for index in plan::AUTH {
        let mut talk = guest.session(plan::receiver(index), "ylmf-pc")?;
        for _ in 0..2 {
            talk.ask("AUTH LOGIN")?;
            talk.ask("YWRtaW4=")?;
            talk.ask("bGV0bWVpbg==")?;
        }
        talk.quit()?;
    }
    Ok(())
}

/// It calls itself what the server is called.
pub(super) fn victim(guest: &Guest) -> io::Result<()> {
    let index = if guest.tls { plan::TLS.start } else { 9 };
    (0..3).try_for_each(|_| deliver(guest, index, &plan::exchanger(index)))
}

/// It cannot decide on a name, in one session.
pub(super) fn two_names(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 3) {
        let mut talk = guest.session(plan::receiver(index), "alpha.mills.example.net")?;
        talk.ehlo("omega.mills.example.net")?;
        letter(&mut talk, index)?;
        talk.quit()?;
    }
    Ok(())
}

/// It begins with MAIL.
pub(super) fn nameless(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 3) {
        let mut talk = guest.call(plan::receiver(index))?;
        talk.greeting()?;
        letter(&mut talk, index)?;
        talk.quit()?;
    }
    Ok(())
}

/// Commands in one go, to servers that did not offer that.
pub(super) fn pipeliner(guest: &Guest) -> io::Result<()> {
    for index in plan::SIMPLE {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        let to = format!("reader@{}", plan::domain(index));
        talk.say(format!("MAIL FROM:<{FROM}>\r\nRCPT TO:<{to}>\r\nDATA\r\n"))?;
        for _ in 0..3 {
            talk.reply()?;
        }
        talk.say(text(FROM, &to, "your invoice"))?;
        talk.reply()?;
        talk.say("RSET\r\nQUIT\r\n")?;
        talk.reply()?;
        talk.reply()?;
    }
    Ok(())
}

/// What it is told does not matter to it.
pub(super) fn deaf(guest: &Guest) -> io::Result<()> {
    for index in plan::STRICT {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        talk.ask(&format!("MAIL FROM:<{FROM}>"))?;
        talk.ask(&format!("RCPT TO:<nobody@{}>", plan::domain(index)))?;
        talk.ask("DATA")?;
        talk.ask("Subject: your invoice")?;
        talk.ask("RSET")?;
        talk.quit()?;
    }
    Ok(())
}

/// DATA and the content in one breath.
pub(super) fn hasty(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 4) {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        let to = format!("reader@{}", plan::domain(index));
        talk.ask(&format!("MAIL FROM:<{FROM}>"))?;
        talk.ask(&format!("RCPT TO:<{to}>"))?;
        talk.say(format!("DATA\r\n{}", text(FROM, &to, "your invoice")))?;
        talk.reply()?;
        talk.reply()?;
        talk.quit()?;
    }
    Ok(())
}

/// Somebody sends it through the proxy that it does not know it is: HTTP at a mail server.
pub(super) fn http(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 4) {
        let mut talk = guest.call(plan::receiver(index))?;
        talk.greeting()?;
        let smtp = format!("HELO {NAME}\r\nRSET\r\nQUIT\r\n");
        let length = smtp.len();
        talk.say(format!(
            "POST / HTTP/1.1\r\nHost: mail\r\nContent-Length: {length}\r\n\r\n{smtp}"
        ))?;
        while talk.reply().is_ok() {}
    }
    Ok(())
}

/// It throws the receiver down instead of hanging up.
pub(super) fn resetter(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 24) {
        let mut talk = guest.session(plan::receiver(index % 6 + base(guest)), NAME)?;
        letter(&mut talk, index)?;
        talk.say("NOOP\r\n")?;
        sleep(Duration::from_millis(20));
        talk.reset()?;
    }
    Ok(())
}

fn base(guest: &Guest) -> u8 {
    if guest.tls { plan::TLS.start } else { 0 }
}

/// It hangs up without a word.
pub(super) fn hanger(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 24) {
        let mut talk = guest.session(plan::receiver(index % 6 + base(guest)), NAME)?;
        letter(&mut talk, index)?;
    }
    Ok(())
}

/// EHLO, QUIT, and again, at one server.
pub(super) fn looper(guest: &Guest) -> io::Result<()> {
    (0..24).try_for_each(|_| guest.session(plan::receiver(4), NAME)?.quit())
}

/// Words that no server knows.
pub(super) fn babbler(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 3) {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        for n in 0..30 {
            talk.ask(&format!("XTRY{n} {n}"))?;
        }
        talk.quit()?;
    }
    Ok(())
}

/// A second letter, hidden behind an end that only some servers take for one.
pub(super) fn smuggler(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 4) {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        let to = format!("reader@{}", plan::domain(index));
        let content = format!(
            "Subject: hello\r\n\r\nhello\n.\r\nMAIL FROM:<boss@{0}>\r\nRCPT TO:<{to}>\r\nDATA\r\nSubject: pay\r\n\r\npay\r\n.\r\n",
            plan::domain(index)
        );
        talk.letter(FROM, &[&to], &content)?;
        talk.quit()?;
    }
    Ok(())
}

/// Lines that end as on the machine where the virus was written.
pub(super) fn bare_newlines(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 4) {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        let to = format!("reader@{}", plan::domain(index));
        talk.letter(FROM, &[&to], "Subject: hello\nX-Mailer: none\n\nhello\nhello\n\r\n.\r\n")?;
        talk.quit()?;
    }
    Ok(())
}

/// Many at once, at one server.
pub(super) fn swarm(guest: &Guest) -> io::Result<()> {
    let (guest, index) = (*guest, if guest.tls { plan::TLS.start + 1 } else { 5 });
    let sessions: Vec<_> = (0..60)
        .filter_map(|_| {
            let one = move || -> io::Result<()> {
                let mut talk = guest.session(plan::receiver(index), NAME)?;
                sleep(Duration::from_secs(2));
                letter(&mut talk, index)?;
                talk.quit()
            };
            thread::Builder::new().stack_size(plan::STACK).spawn(one).ok()
        })
        .collect();
    sessions.into_iter().try_for_each(|session| session.join().unwrap_or(Ok(())))
}

/// A letter here, a letter there.
pub(super) fn spreader(guest: &Guest) -> io::Result<()> {
    let many = if guest.tls { 26 } else { 24 };
    some(guest, many).try_for_each(|index| deliver(guest, index, NAME))
}

/// Address after address: does somebody answer? A few do.
pub(super) fn sweeper(guest: &Guest) -> io::Result<()> {
    for index in 1..71 {
        guest.knock(plan::swept(index));
    }
    Ok(())
}

/// It looks for the exchangers itself, and calls them.
pub(super) fn mx_seeker(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 6) {
        let server = guest.exchanger(&plan::domain(index))?;
        let mut talk = guest.session(server, NAME)?;
        letter(&mut talk, index)?;
        talk.quit()?;
    }
    Ok(())
}

/// Its surfing asks for names; whom it sends to it does not ask for.
pub(super) fn listed_targets(guest: &Guest) -> io::Result<()> {
    for n in 0..70 {
        guest.resolve(&format!("www.shop{n}.example"), A)?;
        sleep(Duration::from_millis(25));
    }
    some(guest, 14).try_for_each(|index| deliver(guest, index, NAME))
}

/// It asks a name server that nobody told it of.
pub(super) fn bypasser(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 8) {
        guest.resolve_at(plan::FOREIGN_RESOLVER, &plan::domain(index), MX)?;
    }
    some(guest, 3).try_for_each(|index| deliver(guest, index, NAME))
}

/// Its hoster lets nothing through, and it tries and tries.
pub(super) fn shut_in(guest: &Guest) -> io::Result<()> {
    for index in 0..40 {
        guest.knock(plan::receiver(index));
    }
    Ok(())
}

/// A list of servers that are gone.
pub(super) fn stale_list(guest: &Guest) -> io::Result<()> {
    some(guest, 4).try_for_each(|index| deliver(guest, index, NAME))?;
    // Neither one after the other nor all of one net: that would be a sweep.
    for n in 0..32u8 {
        let target = plan::closed(n.wrapping_mul(37) % 200 + 20);
        guest.knock(target);
    }
    Ok(())
}

/// It comes, and goes without a word.
pub(super) fn silent(guest: &Guest) -> io::Result<()> {
    for index in some(guest, 24) {
        let mut talk = guest.call(plan::receiver(index % 12 + base(guest)))?;
        talk.greeting()?;
    }
    Ok(())
}

/// It comes, and stays.
pub(super) fn holder(guest: &Guest) -> io::Result<()> {
    let mut held = Vec::new();
    for index in some(guest, 6) {
        let mut talk = guest.session(plan::receiver(index), NAME)?;
        letter(&mut talk, index)?;
        held.push(talk);
    }
    sleep(Duration::from_secs(5));
    held.into_iter().try_for_each(Talk::quit)
}

/// It could speak in secret, and does not.
pub(super) fn open_talker(guest: &Guest) -> io::Result<()> {
    (0..24).try_for_each(|n| deliver(guest, plan::TLS.start + n % 12, NAME))
}

/// Nobody wants to hear of it any more.
pub(super) fn listed(guest: &Guest) -> io::Result<()> {
    for index in plan::REFUSING {
        let mut talk = guest.call(plan::receiver(index))?;
        talk.reply()?;
        talk.quit()?;
    }
    Ok(())
}
