//! Scripts of honest senders: each does nearly what a bot does.

use std::io;
use std::thread::{self, sleep};
use std::time::Duration;

use super::names::{A, MX, Record};
use super::plan;
use super::talk::{Guest, Talk, text};

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Taken,
    Later,
    Never,
}

/// A mail server's delivery: the name service first, STARTTLS and pipelining where they are offered, QUIT.
fn deliver(guest: &Guest, name: &str, from: &str, index: u8) -> io::Result<End> {
    let server = guest.exchanger(&plan::domain(index))?;
    let mut talk = guest.call(server)?;
    let greeting = talk.reply()?;
    if greeting.code == 421 {
        return Ok(End::Later);
    }
    if greeting.code != 220 {
        talk.quit()?;
        return Ok(End::Never);
    }
    guest.hello(&mut talk, name)?;
    let to = format!("reader@{}", plan::domain(index));
    let end = if talk.offers("PIPELINING") {
        pipelined(&mut talk, from, &to)?
    } else {
        end_of(talk.letter(from, &[&to], &text(from, &to, "the minutes"))?.code)
    };
    talk.quit()?;
    Ok(end)
}

/// RFC 2920: the envelope in one write, DATA its last command, and then it waits.
fn pipelined(talk: &mut Talk, from: &str, to: &str) -> io::Result<End> {
    talk.say(format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n"))?;
    talk.reply()?;
    let recipient = talk.reply()?;
    if talk.reply()?.code != 354 {
        return Ok(end_of(recipient.code));
    }
    talk.say(text(from, to, "the minutes"))?;
    Ok(end_of(talk.reply()?.code))
}

fn end_of(code: u16) -> End {
    match code {
        200..300 => End::Taken,
        400..500 => End::Later,
        _ => End::Never,
    }
}

/// What cannot be delivered now stays in the queue.
fn queue(guest: &Guest, name: &str, from: &str, to: &[u8]) -> io::Result<()> {
    let mut waiting = to.to_vec();
    for round in 0..4 {
        if round > 0 {
            sleep(Duration::from_secs(2));
        }
        let mut later = Vec::new();
        for index in waiting {
            if deliver(guest, name, from, index)? == End::Later {
                later.push(index);
            }
        }
        if later.is_empty() {
            return Ok(());
        }
        waiting = later;
    }
    Err(io::Error::other(format!("{} letters are left in the queue", waiting.len())))
}

/// A mail host with users that write to everybody.
pub(super) fn mail_host(guest: &Guest) -> io::Result<()> {
    let to: Vec<u8> = (0..20).chain(26..40).chain(52..58).chain(66..74).collect();
    queue(guest, "mail.birch.example.org", "clerk@birch.example.org", &to)
}

/// A mail host that asks for no STARTTLS, and writes to few.
pub(super) fn small_mail_host(guest: &Guest) -> io::Result<()> {
    queue(guest, "mx.alder.example.org", "clerk@alder.example.org", &[1, 7, 25, 27, 53, 57, 67])
}

/// Newsletters, fast and to many, some at once to one server; its operator says so.
pub(super) fn newsletter(guest: &Guest) -> io::Result<()> {
    for index in (0..24).chain(26..46) {
        deliver(guest, "out1.letters.example.org", "news@letters.example.org", index)?;
    }
    let guest = *guest;
    let lanes: Vec<_> = (0..12)
        .map(|_| {
            thread::spawn(move || {
                deliver(&guest, "out1.letters.example.org", "news@letters.example.org", 30)
            })
        })
        .collect();
    lanes.into_iter().try_for_each(|lane| lane.join().unwrap_or(Ok(End::Never)).map(drop))
}

/// Looks whether two servers still answer, again and again; its operator says so.
pub(super) fn monitor(guest: &Guest) -> io::Result<()> {
    for n in 0..24 {
        let server = plan::receiver(n % 2);
        if n % 3 == 0 {
            guest.call(server)?.greeting()?;
        } else {
            guest.session(server, "probe.watch.example.org")?.quit()?;
        }
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A user's mail program: submission, with a name that no server may have.
pub(super) fn user_agent(guest: &Guest) -> io::Result<()> {
    guest.resolve("submit.provider.example.com", A)?;
    for _ in 0..12 {
        let mut talk = guest.call_port(plan::SUBMISSION, 587)?;
        talk.greeting()?;
        guest.hello(&mut talk, "LAPTOP-4QK7RT2M")?;
        talk.ask("AUTH PLAIN AHVzZXIAc2VjcmV0")?;
        let to = "reader@r01.example.net";
        talk.letter(
            "user@provider.example.com",
            &[to],
            &text("user@provider.example.com", to, "photos"),
        )?;
        talk.quit()?;
    }
    Ok(())
}

/// Called at a bad time: the servers say 421 and hang up, and it comes back.
pub(super) fn put_off(guest: &Guest) -> io::Result<()> {
    let to: Vec<u8> = plan::BUSY.take(2).chain(12..16).collect();
    queue(guest, "mail.rowan.example.org", "clerk@rowan.example.org", &to)
}

/// Two receivers refuse it: that happens.
pub(super) fn twice_refused(guest: &Guest) -> io::Result<()> {
    queue(guest, "mail.hazel.example.org", "clerk@hazel.example.org", &[60, 61, 5, 6])
}

/// A web shop: some letters by its provider's server, several over one connection, with a rest between them.
pub(super) fn web_shop(guest: &Guest) -> io::Result<()> {
    let Some(Record::Address(server)) = guest.resolve(&plan::exchanger(28), A)? else {
        return Err(io::Error::other("the provider's server has no address"));
    };
    for _ in 0..3 {
        let mut talk = guest.session(server, "shop.elder.example.org")?;
        for n in 0..4 {
            let (from, to) = ("orders@elder.example.org", format!("reader@{}", plan::domain(28)));
            talk.letter(from, &[&to], &text(from, &to, &format!("order {n}")))?;
            sleep(Duration::from_millis(500));
        }
        talk.quit()?;
    }
    Ok(())
}

/// An administrator's desk: looks up one exchanger by hand, and surfs.
pub(super) fn administrator(guest: &Guest) -> io::Result<()> {
    for n in 0..60 {
        guest.resolve(&format!("www.news{n}.example"), A)?;
    }
    guest.resolve(&plan::domain(11), MX)?;
    Ok(())
}
