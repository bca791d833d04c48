//! Lines: what leaves the sensor.
//!
//! A [`Line`] is one happening, an [`Encoder`] turns it into bytes ([`Json`] for programs, [`Pretty`] for people), an
//! [`Output`] writes whole lines somewhere. Every field that a JSON line may have stands in [`schema::FIELDS`], from
//! which the JSON Schema and the manual are made; tests hold the encoder to it.
//!
//! Promises: the same happenings give the same bytes; a line is one line, whatever lay on the wire, and no longer than
//! [`LINE_MAX`]; nothing of clock, machine or chance is in it.

mod evidence;
mod id;
mod json;
mod memory;
mod output;
mod pretty;
mod privacy;
#[cfg(test)]
pub(crate) mod samples;
pub mod schema;
mod spool;
pub(crate) mod words;
pub(crate) mod write;

use botlike_core::base::{Counters, Stamp};
use botlike_core::judge::Event;

pub use id::PUBLISHED_KEY;
pub use json::Json;
pub use memory::worst_case;
pub use output::{Failure, Output, Outputs};
pub use pretty::Pretty;
pub use privacy::{Key, Mode, Privacy};
pub use spool::{Again, QUEUE_BYTES};

use crate::rules::{self, Entries};
use crate::source::live::{Observe, Places, RungKind};

/// The longest line, its end included: more, and journald splits it.
pub const LINE_MAX: usize = 16 << 10;

/// The number of the lines' schema: raised when a key goes or changes its meaning.
pub const SCHEMA: u64 = 1;

/// Something to be told.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    /// What the judge said, and when.
    Event(Stamp, Event<'a>),
    /// What was counted.
    Stats(Stats<'a>),
    /// What the sensor is: the first line of a run.
    Sensor(Sensor<'a>),
}

/// The kinds of lines; `event.dataset` is `botlike.` and the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A connection that ended.
    Session,
    /// A transaction that ended.
    Message,
    /// A finding opened, updated or closed.
    Finding,
    /// Counters.
    Stats,
    /// The sensor about itself.
    Sensor,
}

impl Kind {
    /// All, in the order of the schema.
    pub const ALL: [Self; 5] =
        [Self::Session, Self::Message, Self::Finding, Self::Stats, Self::Sensor];

    /// As written in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Message => "message",
            Self::Finding => "finding",
            Self::Stats => "stats",
            Self::Sensor => "sensor",
        }
    }
}

impl Line<'_> {
    /// Which kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Event(_, Event::Session { .. }) => Kind::Session,
            Self::Event(_, Event::Message { .. }) => Kind::Message,
            Self::Event(_, Event::Finding { .. }) => Kind::Finding,
            Self::Stats(_) => Kind::Stats,
            Self::Sensor(_) => Kind::Sensor,
        }
    }
}

/// The counters at a point in packet time.
#[derive(Clone, Copy, Debug)]
pub struct Stats<'a> {
    /// Stamp of the last frame.
    pub at: Stamp,
    /// Of all stages together.
    pub counters: &'a Counters,
}

/// What the sensor is and what it was told to do. All of it is fixed by the version and the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Sensor<'a> {
    /// Stamp of the first frame.
    pub at: Stamp,
    /// The watched networks, as configured; none: in `read` every client is judged as if it were watched.
    pub watched: &'a [String],
    /// The watched server ports.
    pub ports: &'a [u16],
    /// Bytes that its tables take at worst, see [`worst_case`].
    pub memory: u64,
    /// A hash of the configuration, so that a change of it shows.
    pub config_hash: u64,
    /// How and where packets are taken; `None`: captures are read.
    pub places: Option<&'a Places>,
    /// Something of this changed since the line before.
    pub changed: bool,
}

impl Sensor<'_> {
    /// Where packets come from, as written in lines.
    fn mode(&self) -> &'static str {
        if self.places.is_some() { "watch" } else { "read" }
    }
}

/// What all lines of one output have in common.
#[derive(Clone, Debug)]
pub struct Style {
    /// `observer.name`: what the operator calls this sensor.
    pub observer: Option<String>,
    /// The key of ids and hashes.
    pub key: Key,
    /// What is hidden.
    pub privacy: Privacy,
    /// The detections that findings refer to.
    pub rules: Entries,
}

impl Default for Style {
    fn default() -> Self {
        Self { observer: None, key: Key::default(), privacy: Privacy::default(), rules: rules::ALL }
    }
}

/// Turns happenings into bytes.
pub trait Encoder: Send {
    /// Appends the line with its end.
    fn encode(&mut self, line: &Line<'_>, out: &mut Vec<u8>);

    /// From now on, the interface that the source numbers `iface` has this name.
    fn interface(&mut self, iface: u32, name: &str);
}

/// The names of a source's interfaces by their numbers. Bounded: a hostile capture can define very many.
#[derive(Clone, Debug, Default)]
struct Interfaces(Vec<Option<Box<str>>>);

impl Interfaces {
    const MAX: usize = 4096;

    fn set(&mut self, iface: u32, name: &str) {
        let index = iface as usize;
        if index < Self::MAX {
            if self.0.len() <= index {
                self.0.resize(index + 1, None);
            }
            self.0[index] = Some(name.into());
        }
    }

    fn get(&self, iface: u32) -> Option<&str> {
        self.0.get(iface as usize)?.as_deref()
    }
}

/// What the sensor line says in words.
fn sensor_sentence(out: &mut Vec<u8>, sensor: &Sensor<'_>, style: &Style) {
    let ports: Vec<String> = sensor.ports.iter().map(u16::to_string).collect();
    let watched = match sensor.watched {
        [] => "every client".to_owned(),
        some => some.join(", "),
    };
    let hidden = match (style.privacy.is_clear(), style.key.is_configured()) {
        (true, _) => "names are written as they are",
        (false, true) => "names are hidden",
        (false, false) => {
            "names are hidden, hashes made with the published key: anybody can try values against them"
        }
    };
    let doing = match sensor.places {
        None => "reading captures".to_owned(),
        Some(places) if places.interfaces.is_empty() => "watching no interface".to_owned(),
        Some(places) => {
            // As many as fit on a screen; the JSON line has more.
            let mut names: Vec<String> = places
                .interfaces
                .iter()
                .take(8)
                .map(|(name, observe)| match observe {
                    Observe::Full => name.clone(),
                    Observe::Metadata => format!("{name} (metadata)"),
                })
                .collect();
            if let more @ 1.. = places.interfaces.len() - names.len() {
                names.push(format!("{more} more"));
            }
            let by = places.rung.map_or("nothing", RungKind::name);
            format!("watching {} by {by}", names.join(", "))
        }
    };
    let sentence = format!(
        "{doing}: watched {watched}; ports {}; {} rules; at most {} in tables; {hidden}",
        ports.join(", "),
        style.rules.len(),
        words::rough_size(sensor.memory),
    );
    out.extend_from_slice(sentence.as_bytes());
}
