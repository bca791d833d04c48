//! The configuration: a TOML file, read into settings as meant.
//!
//! Its sections are fixed; later versions only add keys. A key that this version does not know is an error, with its
//! place and the nearest key it knows: a setting that is silently ignored is worse than none. All errors of a file are
//! found in one go. Everything has a default, so no file at all is a good configuration.
//!
//! [`keys`] is the list of keys, from which `docs/CONFIGURATION.md` is made and against which unknown keys are judged.

mod judge;
pub mod keys;
mod reader;
mod sections;
mod values;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use botlike_core::base::{Limits, MINUTE, Nanos, Stamp};
use botlike_core::detect::Severity;
pub use botlike_core::detect::{Given as Setting, Role};
use siphasher::sip::SipHasher24;

use crate::emit::{self, Kind, Privacy};
use crate::rules::Entries;
use crate::source::live::{Observe, RungKind};
use reader::Reader;
use sections::section;

pub(crate) use reader::nearest;
pub use reader::{Fault, Faults};
pub use values::Net;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON lines.
    Json,
    /// One readable line per event.
    Pretty,
}

impl Format {
    const WORDS: [(Self, &'static str); 2] = [(Self::Json, "json"), (Self::Pretty, "pretty")];
}

/// Roles, with their words.
const ROLES: [(Role, &str); 10] = [
    (Role::Mta, "mta"),
    (Role::Gateway, "gateway"),
    (Role::Bulk, "bulk"),
    (Role::List, "list"),
    (Role::Forwarder, "forwarder"),
    (Role::Hosting, "hosting"),
    (Role::App, "app"),
    (Role::Monitor, "monitor"),
    (Role::Scanner, "scanner"),
    (Role::Unknown, "unknown"),
];

/// What is captured while watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interests {
    /// The SMTP ports.
    Smtp,
    /// Port 53.
    Dns,
    /// Headers of every SYN, SYN-ACK and RST.
    Syn,
}

impl Interests {
    /// With their words.
    pub const WORDS: [(Self, &'static str); 3] =
        [(Self::Smtp, "smtp"), (Self::Dns, "dns"), (Self::Syn, "syn")];
}

/// What the operator says of some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Which ones.
    pub net: Net,
    /// What they are for.
    pub role: Role,
    /// `host.name` of their lines.
    pub name: Option<String>,
    /// `botlike.tenant` of their lines.
    pub tenant: Option<String>,
}

/// What the operator changes about a detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detect {
    /// Its id.
    pub id: &'static str,
    /// Whether it is on.
    pub enabled: bool,
    /// The severity of all its levels.
    pub severity: Option<Severity>,
    /// A finding closes after so long without a hit.
    pub window: Option<Nanos>,
    /// Its settings by their keys.
    pub settings: Vec<(&'static str, Setting)>,
}

/// A finding that the operator knows of and does not want to see until a day (guard G12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The detection's id.
    pub rule: &'static str,
    /// Of which hosts.
    pub host: Net,
    /// Before this stamp.
    pub until: Stamp,
    /// Why, for those who come after.
    pub reason: String,
}

/// A place where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// Its name in the configuration.
    pub name: String,
    /// The file; standard output where there is none.
    pub file: Option<PathBuf>,
    /// How lines look; readable on a terminal and JSON otherwise where it is not said.
    pub format: Option<Format>,
    /// Which lines.
    pub lines: Vec<Kind>,
    /// What is hidden.
    pub privacy: Privacy,
}

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Config {
    /// `observer.name`.
    pub name: Option<String>,
    /// Server ports that are watched, rising.
    pub ports: Vec<u16>,
    /// Worker threads; 1: everything in one thread.
    pub workers: usize,
    /// Interfaces to watch, `*` stands for any characters; none: all suitable ones.
    pub interfaces: Vec<String>,
    /// How packets are taken; `None`: the best way that works.
    pub method: Option<RungKind>,
    /// What is taken besides SMTP.
    pub interests: Vec<Interests>,
    /// How far the sensor looks; `None`: at guests' interfaces metadata, at others all.
    pub observe: Option<Observe>,
    /// Bytes of the ring between kernel and sensor.
    pub ring: u64,
    /// A stats line is told this often while watching.
    pub stats_every: Nanos,
    /// Watched hosts; none: every client is judged as if it were watched.
    pub watched: Vec<Net>,
    /// Addresses under which watched hosts appear outside (NAT).
    pub public: Vec<Net>,
    /// Resolvers that watched hosts use; none: not said.
    pub resolvers: Vec<Net>,
    /// What is known of hosts; the first that fits holds, longer networks stand before shorter ones.
    pub hosts: Vec<Host>,
    /// Caps and time-outs.
    pub limits: Limits,
    /// Changes to detections.
    pub detect: Vec<Detect>,
    /// What outputs hide unless they say otherwise.
    pub privacy: Privacy,
    /// The key of ids and hashes.
    pub key: emit::Key,
    /// Where lines go; none: to standard output.
    pub outputs: Vec<OutputConfig>,
    /// What is known already.
    pub acks: Vec<Ack>,
    /// A hash of the file's text.
    pub hash: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            ports: vec![25],
            workers: 1,
            interfaces: Vec::new(),
            method: None,
            interests: vec![Interests::Smtp, Interests::Dns],
            observe: None,
            ring: 16 << 20,
            stats_every: MINUTE,
            watched: Vec::new(),
            public: Vec::new(),
            resolvers: Vec::new(),
            hosts: Vec::new(),
            limits: Limits::default(),
            detect: Vec::new(),
            privacy: Privacy::default(),
            key: emit::Key::default(),
            outputs: Vec::new(),
            acks: Vec::new(),
            hash: hash(""),
        }
    }
}

/// A file of at most 1 MiB; a larger one is no configuration.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("larger than 1 MiB: not a configuration"));
    }
    Ok(bytes)
}

fn hash(text: &str) -> u64 {
    SipHasher24::new_with_key(&emit::PUBLISHED_KEY).hash(text.as_bytes())
}

/// Why a configuration could not be read.
#[derive(Debug)]
pub enum ConfigError {
    /// The file itself could not be read.
    Unreadable(PathBuf, io::Error),
    /// It is wrong.
    Wrong(Faults),
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Wrong(faults) => faults.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file; `rules` are the detections it may refer to.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, or with everything that is wrong in it.
    pub fn load(path: &Path, rules: Entries) -> Result<Self, ConfigError> {
        let bytes =
            bounded(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
        let file = path.display().to_string();
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
                let mut reader = Reader::new(&file, &good);
                reader.fault(good.len()..good.len(), "bytes that are not UTF-8");
                return Err(ConfigError::Wrong(reader.finish()));
            }
        };
        Self::parse(&file, text, rules).map_err(ConfigError::Wrong)
    }

    /// Reads a text; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// With everything that is wrong in it.
    pub fn parse(file: &str, text: &str, rules: Entries) -> Result<Self, Faults> {
        let mut reader = Reader::new(file, text);
        let document = reader.document();
        let mut config = Self { hash: hash(text), ..Self::default() };
        let mut outputs = Vec::new();
        for (key, value) in document.get_ref() {
            match &**key.get_ref() {
                "capture" => {
                    section(&mut reader, "capture", value, |r, k, v| config.capture(r, k, v))
                }
                "network" => {
                    section(&mut reader, "network", value, |r, k, v| config.network(r, k, v))
                }
                "dns" => section(&mut reader, "dns", value, |r, k, v| config.dns(r, k, v)),
                "hosts" => config.hosts(&mut reader, value),
                "limits" => section(&mut reader, "limits", value, |r, k, v| config.limits(r, k, v)),
                "detect" => config.detects(&mut reader, value, rules),
                "privacy" => {
                    section(&mut reader, "privacy", value, |r, k, v| config.privacy(r, k, v))
                }
                "output" => outputs.push(value),
                "ack" => config.acks(&mut reader, value, rules),
                name @ ("domains" | "auth" | "feeds" | "verdict") => {
                    section(&mut reader, name, value, |_, _, _| false);
                }
                _ => reader.unknown(key, "the file", keys::SECTIONS.iter().map(|(name, _)| *name)),
            }
        }
        // After [privacy], which is their default.
        for value in outputs {
            config.outputs(&mut reader, value);
        }
        config.hosts.sort_by_key(|host| std::cmp::Reverse(host.net.bits()));
        if reader.is_good() { Ok(config) } else { Err(reader.finish()) }
    }
}

#[cfg(test)]
mod tests;
