//! The sensor under test, as narrow as the cases need it. Everything that ties the cases to the program is in this file.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use botlike::config::Config;
use botlike::emit::{Json, Output, Outputs, Style};
use botlike::run::{Pipeline, Printer, Settings, settings};
use botlike::source::{Captures, Frame, Options};
use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

/// Takes frames and gives lines.
pub trait Player {
    /// A frame.
    fn frame(&mut self, frame: &crate::frame::Frame);
    /// The input ended: every line, as JSON.
    fn finish(self: Box<Self>) -> Vec<u8>;
}

/// Whether a sensor is bound; without one the cases are only checked for themselves.
pub const BOUND: bool = true;

/// A sensor with this configuration (TOML) and so many workers.
pub fn open(config: &str, workers: usize) -> Result<Box<dyn Player>, String> {
    let mut config = Config::parse("config", config, botlike::rules::ALL)
        .map_err(|faults| faults.to_string())?;
    config.workers = workers;
    Ok(Box::new(Sensor::new(&config)))
}

/// What `botlike read` writes for these captures, and whether it met an error on the way.
pub fn read(captures: &[PathBuf], workers: usize) -> Result<(Vec<u8>, bool), String> {
    let config = Config { workers, ..Config::default() };
    let mut sensor = Sensor::with(&config, captures.len() == 1);
    let (mut captures, errors) = Captures::open(captures, &Options::default());
    while captures.step() {
        let Some(frame) = captures.frame() else { break };
        sensor.pipeline.frame(&frame);
        let lost = captures.lost();
        if lost > 0 {
            sensor.pipeline.lost(lost);
        }
    }
    let failed = !errors.is_empty() || !captures.take_errors().is_empty();
    Ok((Box::new(sensor).finish(), failed))
}

/// The detections that the sensor has, by id.
pub fn detections() -> Vec<&'static str> {
    botlike::rules::ALL.iter().map(|entry| entry.id).collect()
}

struct Sensor {
    pipeline: Pipeline<Printer>,
    lines: Lines,
}

impl Sensor {
    fn new(config: &Config) -> Self {
        Self::with(config, true)
    }

    fn with(config: &Config, points: bool) -> Self {
        let lines = Lines::default();
        let style = Style {
            observer: config.name.clone(),
            key: config.key,
            privacy: config.privacy,
            rules: botlike::rules::ALL,
        };
        let output = Output::new("lines", Box::new(Json::new(style)), Box::new(lines.clone()));
        let printer = Printer::new(config, Outputs::new(vec![output]));
        let settings = Settings { points, ..settings(config) };
        Self { pipeline: Pipeline::new(&settings, printer), lines }
    }
}

impl Player for Sensor {
    fn frame(&mut self, frame: &crate::frame::Frame) {
        self.pipeline.frame(&Frame {
            at: Stamp::from_nanos(frame.at),
            link: LinkType::from_number(frame.link),
            iface: frame.iface,
            data: &frame.data,
            orig_len: frame.orig_len,
        });
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        let end = self.pipeline.finish();
        end.sink.end(&end.counters, end.last);
        std::mem::take(&mut *self.lines.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A writer whose bytes are kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
