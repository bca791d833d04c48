//! The captures that everything is measured on: real TCP between two namespaces, made once and kept.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::lab::{CLIENT, End, Lab, Running, SERVER};
use super::pcap::Shape;
use crate::{run, tools};

/// In so many goes the mail of the mixed capture is sent, spread over the bulk traffic.
const PIECES: u32 = 20;

/// What is in a capture.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// SMTP sessions, and how many with `--quick`.
    sessions: (u32, u32),
    content: Content,
}

enum Content {
    /// A body of so many bytes, made by smtp-source.
    Plain(u32),
    /// An HTML letter with links and an attachment.
    Multipart,
    /// A body of so many bytes, beside so many megabytes of other TCP (and with `--quick`).
    Mixed(u32, u64, u64),
    /// A body of so many bytes behind STARTTLS.
    Starttls(u32),
}

/// All of them.
pub(super) const RECIPES: [Recipe; 5] = [
    Recipe {
        name: "small",
        what: "20 000 sessions of about 4 KiB",
        sessions: (20_000, 500),
        content: Content::Plain(4096),
    },
    Recipe {
        name: "large",
        what: "3 000 sessions of 60 KB",
        sessions: (3_000, 100),
        content: Content::Plain(60_000),
    },
    Recipe {
        name: "multipart",
        what: "3 000 sessions, multipart with an attachment and links",
        sessions: (3_000, 100),
        content: Content::Multipart,
    },
    Recipe {
        name: "mixed",
        what: "4 000 sessions of about 4 KiB among bulk TCP on another port",
        sessions: (4_000, 100),
        content: Content::Mixed(4096, 600, 15),
    },
    Recipe {
        name: "starttls",
        what: "3 000 sessions of about 4 KiB that turn to STARTTLS",
        sessions: (3_000, 100),
        content: Content::Starttls(4096),
    },
];

/// A capture that there is.
pub(super) struct Capture {
    pub(super) recipe: &'static Recipe,
    pub(super) path: PathBuf,
    pub(super) shape: Shape,
}

/// Where captures, copies and outputs lie.
pub(super) fn folder() -> PathBuf {
    run::target().join("bench")
}

/// The captures of these names (all if none is named); those that are not there yet are made.
pub(super) fn have(names: &[&str], quick: bool) -> Result<Vec<Capture>> {
    if let Some(name) =
        names.iter().find(|name| !RECIPES.iter().any(|recipe| recipe.name == **name))
    {
        let known: Vec<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
        bail!("there is no capture {name:?}; there are {}", known.join(", "));
    }
    std::fs::create_dir_all(folder())?;
    let wanted = RECIPES.iter().filter(|recipe| names.is_empty() || names.contains(&recipe.name));
    wanted.map(|recipe| recipe.have(quick)).collect()
}

impl Recipe {
    fn have(&'static self, quick: bool) -> Result<Capture> {
        let sessions = if quick { self.sessions.1 } else { self.sessions.0 };
        let path = folder().join(if quick {
            format!("{}-quick.pcap", self.name)
        } else {
            format!("{}.pcap", self.name)
        });
        if !path.exists() {
            self.make(&path, sessions, quick)
                .with_context(|| format!("making the capture `{}`", self.name))?;
        }
        let shape = Shape::of(&path)?;
        if shape.sessions < u64::from(sessions) {
            bail!("{} has {} sessions instead of {sessions}", path.display(), shape.sessions);
        }
        Ok(Capture { recipe: self, path, shape })
    }

    /// Three tries: on a busy machine tcpdump may lose packets, and then the capture is not kept.
    fn make(&self, path: &PathBuf, sessions: u32, quick: bool) -> Result<()> {
        let draft = path.with_extension("draft");
        let mut tries = 3;
        loop {
            tries -= 1;
            eprintln!("bench: making {} ({sessions} sessions)", path.display());
            match self.traffic(&draft, sessions, quick) {
                Ok(()) => return Ok(std::fs::rename(&draft, path)?),
                Err(error) if tries > 0 => eprintln!("bench: again, because {error:#}"),
                Err(error) => {
                    let _ = std::fs::remove_file(&draft);
                    return Err(error);
                }
            }
        }
    }

    fn traffic(&self, draft: &PathBuf, sessions: u32, quick: bool) -> Result<()> {
        let lab = Lab::new(false)?;
        match self.content {
            Content::Plain(bytes) => {
                let _sink = sink(&lab)?;
                lab.capture(draft, || source(&lab, sessions, &["-l", &bytes.to_string()]))
            }
            Content::Multipart => {
                let letter = folder().join("letter.eml");
                std::fs::write(&letter, multipart())?;
                let _sink = sink(&lab)?;
                lab.capture(draft, || source(&lab, sessions, &["-F", &letter.to_string_lossy()]))
            }
            Content::Mixed(bytes, megabytes, quick_megabytes) => {
                let _sink = sink(&lab)?;
                let own = |args: &[&str]| -> Result<Command> {
                    let mut command = Command::new(std::env::current_exe()?);
                    command.arg("bench").args(args);
                    Ok(command)
                };
                let address = format!("{SERVER}:8080");
                let _bulk_sink = lab.serve(&own(&["bulk-sink", &address])?, 8080)?;
                let megabytes = if quick { quick_megabytes } else { megabytes };
                let bulk = own(&["bulk-source", &address, &megabytes.to_string(), "65536"])?;
                lab.capture(draft, || {
                    let bulk = Running::start(&mut lab.inside(End::Client, &bulk))?;
                    let begin = Instant::now();
                    for piece in 0..PIECES {
                        source(&lab, sessions / PIECES, &["-l", &bytes.to_string()])?;
                        // The bulk runs at 100 megabytes a second: mail comes as long as it does.
                        let due = Duration::from_millis(
                            u64::from(piece + 1) * megabytes * 10 / u64::from(PIECES),
                        );
                        std::thread::sleep(due.saturating_sub(begin.elapsed()));
                    }
                    bulk.finish()
                })
            }
            Content::Starttls(bytes) => starttls(&lab, draft, sessions, bytes),
        }
    }
}

/// smtp-sink will not be root. As another user it would outlive this program if that were killed: hence the `timeout`.
pub(super) fn sink(lab: &Lab) -> Result<Running> {
    let sink = tools::find("smtp-sink")?.command();
    let mut command = Command::new("timeout");
    command.arg("1800").arg(sink.get_program()).args(["-u", "nobody", "-h", "mx.bench.example"]);
    command.args([format!("{SERVER}:25").as_str(), "256"]);
    command.envs(sink.get_envs().filter_map(|(name, value)| Some((name, value?))));
    lab.serve(&command, 25)
}

/// One message a session, ten sessions at a time, a recipient of its own for each (`-N`).
fn source(lab: &Lab, sessions: u32, body: &[&str]) -> Result<()> {
    let mut command = tools::find("smtp-source")?.command();
    command.args([
        "-s",
        "10",
        "-N",
        "-M",
        "client.bench.example",
        "-f",
        "sender@client.bench.example",
    ]);
    command
        .args(["-t", "@mx.bench.example", "-m", &sessions.to_string()])
        .args(body)
        .arg(format!("{SERVER}:25"));
    run::run(lab.inside(End::Client, &command).stdin(Stdio::null()))
}

/// smtp-source and smtp-sink know no TLS: a small server and client in Python do, with a certificate made by openssl.
fn starttls(lab: &Lab, draft: &PathBuf, sessions: u32, bytes: u32) -> Result<()> {
    let script = folder().join("starttls.py");
    let (certificate, key) = (folder().join("starttls.crt"), folder().join("starttls.key"));
    std::fs::write(&script, include_str!("starttls.py"))?;
    let mut openssl = tools::find("openssl")?.command();
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "36500",
    ]);
    openssl
        .args(["-subj", "/CN=mx.bench.example", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
    run::output(&mut openssl)?;
    let python = tools::find("python3")?;
    let mut server = python.command();
    server.arg(&script).args(["server", SERVER]).arg(&certificate).arg(&key);
    let _server = lab.serve(&server, 25)?;
    lab.capture(draft, || {
        let mut client = python.command();
        client.arg(&script).args(["client", SERVER, &sessions.to_string(), &bytes.to_string()]);
        run::run(lab.inside(End::Client, &client).stdin(Stdio::null()))
    })
}

/// A letter of about 50 KB: text, HTML with a dozen links, a PDF's worth of base64.
fn multipart() -> String {
    let mut letter = String::from(
        "From: Sender <sender@client.bench.example>\nTo: Reader <reader@mx.bench.example>\nSubject: The offer, with \
         pictures\nMessage-ID: <one@client.bench.example>\nDate: Mon, 23 Nov 2026 08:15:00 +0000\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"outer\"\n\n--outer\nContent-Type: multipart/alternative; \
         boundary=\"inner\"\n\n--inner\nContent-Type: text/plain; charset=utf-8\n\n",
    );
    for number in 1..=12 {
        let _ = writeln!(
            letter,
            "Page {number} is at https://www.bench.example/offer/{number}?from=letter and nowhere else."
        );
    }
    letter.push_str("\n--inner\nContent-Type: text/html; charset=utf-8\n\n<html><body>\n");
    for number in 1..=12 {
        let _ = writeln!(
            letter,
            "<p><a href=\"https://www.bench.example/offer/{number}?from=letter\">Page {number}</a></p>"
        );
    }
    letter.push_str("</body></html>\n\n--inner--\n\n--outer\nContent-Type: application/pdf; name=\"offer.pdf\"\n");
    letter.push_str("Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"offer.pdf\"\n\n");
    // The alphabet of base64 by a linear congruence: it need not be a PDF, only look like one's encoding.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    letter.push_str("JVBERi0xLjcK");
    let mut state = 1_u32;
    for at in 12..60 * 760 {
        if at % 76 == 0 {
            letter.push('\n');
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letter.push(char::from(alphabet[(state >> 26) as usize]));
    }
    letter.push_str("\n\n--outer--\n");
    letter
}

/// Bulk traffic that is not mail: takes whatever comes on each connection.
pub(super) fn bulk_sink(address: &str) -> Result<()> {
    for connection in TcpListener::bind(address)?.incoming() {
        let mut connection = connection?;
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while connection.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
    }
    Ok(())
}

/// Sends so many megabytes over four connections, at most 100 megabytes a second, so that mail passes between them; so many
/// bytes at a time.
pub(super) fn bulk_source(address: &str, megabytes: u64, chunk: u32) -> Result<()> {
    let mut connections =
        [address; 4].map(TcpStream::connect).into_iter().collect::<Result<Vec<_>, _>>()?;
    let chunk: Vec<u8> =
        (0..chunk).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let begin = Instant::now();
    for number in 0..megabytes << 4 {
        let at = usize::try_from(number)? % connections.len();
        connections[at].write_all(&chunk)?;
        let due = Duration::from_micros(number * 655);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    Ok(())
}

/// How the captures are made, for the pages that tell of them.
pub(super) fn method() -> String {
    format!(
        "real TCP between two network namespaces joined by a veth pair without offload ({CLIENT} to {SERVER}, MTU 1500), \
         captured at the server's end by tcpdump without loss; mail from Postfix's `smtp-source` to its `smtp-sink` (ten \
         sessions at a time, one message each), STARTTLS between a client and a server of some sixty lines of Python"
    )
}
