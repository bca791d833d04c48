//! Mail between the two ends: as much as goes, or so much a second.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::lab::{CLIENT, End, Lab, Running, SERVER};
use super::super::measure::{self, Usage};
use super::process::{self, Taken};
use crate::tools;

/// Sessions at a time.
const AT_A_TIME: &str = "20";
/// Senders of [`steadily`], each with its share.
const SENDERS: u32 = 4;
/// How long a sender waits for a reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ports for more sessions within a minute than a host has by default. Where that is not allowed, smtp-source may run out
/// of them and say so.
pub(super) fn many_ports(lab: &Lab) {
    for (name, value) in [("ip_local_port_range", "10000 65000"), ("tcp_tw_reuse", "1")] {
        let mut write = Command::new("sh");
        write.args(["-c", &format!("echo {value} > /proc/sys/net/ipv4/{name}")]);
        crate::run::succeeds(&mut lab.inside(End::Client, &write));
    }
}

/// As fast as smtp-source can, one message a session.
pub(super) fn saturate(lab: &Lab, bytes: u32, messages: u32) -> Result<Usage> {
    let mut command = tools::find("smtp-source")?.command();
    command.args(["-s", AT_A_TIME, "-N", "-M", "client.bench.example"]);
    command.args(["-f", "sender@client.bench.example", "-t", "@mx.bench.example"]);
    command.args(["-l", &bytes.to_string(), "-m", &messages.to_string()]);
    command.arg(format!("{SERVER}:25"));
    measure::run(&mut lab.inside(End::Client, &command), &super::file("out"))
}

/// What the receiving process has taken: the one that `timeout` started.
pub(super) fn receiver(sink: &Running) -> Result<Taken> {
    Taken::by(process::child(sink.pid()).context("smtp-sink is not there")?)
}

/// So many messages a second for so many seconds, spread evenly. Returns what the sender took, and how many it sent.
pub(super) fn steadily(lab: &Lab, bytes: u32, rate: u32, seconds: u32) -> Result<(Usage, u32)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "mail-source", &format!("{SERVER}:25")]);
    command.args([bytes, rate, seconds].map(|number| number.to_string()));
    let out = super::file("out");
    let usage = measure::run(&mut lab.inside(End::Client, &command), &out)?;
    let sent = std::fs::read_to_string(&out)?.trim().parse().context("the sender's count")?;
    Ok((usage, sent))
}

/// The sender of [`steadily`], in a process of its own. Who falls behind sends what is due at once.
pub(super) fn mail_source(args: &[&str]) -> Result<()> {
    let [address, bytes, rate, seconds] = args else {
        bail!("mail-source needs ADDRESS BYTES RATE SECONDS");
    };
    let (address, bytes): (SocketAddr, usize) = (address.parse()?, bytes.parse()?);
    let (rate, seconds): (u32, u32) = (rate.parse()?, seconds.parse()?);
    let letter = letter(bytes);
    let begin = Instant::now();
    let end = begin + Duration::from_secs(u64::from(seconds));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let letter = letter.clone();
            std::thread::spawn(move || -> Result<u32> {
                let mut sent = 0;
                for number in (sender..rate * seconds).step_by(SENDERS as usize) {
                    let due = begin + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                    sleep(due.saturating_duration_since(Instant::now()));
                    // A machine too slow for the rate is told by the count.
                    if Instant::now() > end {
                        break;
                    }
                    send(address, number, &letter)?;
                    sent += 1;
                }
                Ok(sent)
            })
        })
        .collect();
    let mut sent = 0;
    for sender in senders {
        sent += sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
    }
    println!("{sent}");
    Ok(())
}

fn letter(bytes: usize) -> Vec<u8> {
    let mut letter = String::from(
        "From: Sender <sender@client.bench.example>\r\nTo: Reader <reader@mx.bench.example>\r\nSubject: steady mail\r\n\
         Date: Mon, 23 Nov 2026 08:15:00 +0000\r\nMessage-ID: <steady@client.bench.example>\r\n\r\n",
    );
    while letter.len() < bytes {
        letter.push_str("All work and no play makes Jack a dull boy. All work and no play.\r\n");
    }
    letter.push_str(".\r\n");
    letter.into_bytes()
}

fn send(address: SocketAddr, number: u32, letter: &[u8]) -> Result<()> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut replies = BufReader::new(&stream);
    let mut expect = |code: &str| -> Result<()> {
        let mut line = String::new();
        replies.read_line(&mut line)?;
        if line.starts_with(code) { Ok(()) } else { bail!("{line:?} instead of {code}") }
    };
    let say = |words: &[u8]| (&stream).write_all(words);
    expect("220")?;
    say(b"HELO client.bench.example\r\n")?;
    expect("250")?;
    say(b"MAIL FROM:<sender@client.bench.example>\r\n")?;
    expect("250")?;
    say(format!("RCPT TO:<reader{number}@mx.bench.example>\r\n").as_bytes())?;
    expect("250")?;
    say(b"DATA\r\n")?;
    expect("354")?;
    say(letter)?;
    expect("250")?;
    say(b"QUIT\r\n")?;
    expect("221")
}

/// How the mail is sent, for the page.
pub(super) fn method() -> String {
    format!(
        "two network namespaces joined by a veth pair with its offload on ({CLIENT} to {SERVER}), the sensor on the sending \
         host's interface; Postfix's `smtp-source` ({AT_A_TIME} sessions at a time, one message each) to its `smtp-sink`, at a \
         fixed rate a sender of this project's own"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_its_size_and_one_end() {
        let letter = letter(5000);
        assert!((5000..5100).contains(&letter.len()));
        assert!(letter.ends_with(b"\r\n.\r\n"));
        assert_eq!(letter.windows(3).filter(|three| three == b"\n.\r").count(), 1);
    }
}
