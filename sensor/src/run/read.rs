//! `botlike read`: captures to their ends.
//!
//! Lines appear while it reads: whenever the next frame would have to be waited for, what is known is written. What goes
//! wrong is told on standard error, one line each; reading goes on with what can be read.

use std::error::Error;
use std::io::{self, Write};

use botlike_core::base::{Counters, Stamp};
use botlike_core::judge::{Event, EventSink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::pipeline::{Pipeline, Settings, Sink};
use super::{Outcome, ReadOptions, Writing, open_outputs};
use crate::config::{Config, Interests};
use crate::emit::{Line, Outputs, Sensor, Stats, worst_case};
use crate::source::live::Places;
use crate::source::{Captures, Options};

/// Key of the hash tables in `read`: two runs shall not differ, and nothing here is worth an attack on them.
const SEED: u64 = 0x626f_746c_696b_6521;

/// The outputs, with the line that comes first.
pub struct Printer {
    outputs: Outputs,
    watched: Vec<String>,
    ports: Vec<u16>,
    memory: u64,
    config_hash: u64,
    begun: bool,
}

impl Printer {
    /// Lines of a run with this configuration go to `outputs`.
    pub fn new(config: &Config, outputs: Outputs) -> Self {
        Self {
            outputs,
            watched: config.watched.iter().map(ToString::to_string).collect(),
            ports: config.ports.clone(),
            memory: worst_case(&config.limits, 1),
            config_hash: config.hash,
            begun: false,
        }
    }

    /// The run ended: the last line.
    pub fn end(mut self, counters: &Counters, last: Option<Stamp>) -> Outputs {
        if let Some(at) = last {
            self.stats(at, counters);
        }
        self.outputs.finish();
        self.outputs
    }
}

impl EventSink for Printer {
    fn event(&mut self, at: Stamp, event: Event<'_>) {
        self.outputs.event(at, event);
    }
}

impl Sink for Printer {
    fn begin(&mut self, at: Stamp, places: Option<&Places>) {
        let sensor = Sensor {
            at,
            watched: &self.watched,
            ports: &self.ports,
            memory: self.memory,
            config_hash: self.config_hash,
            places,
            changed: std::mem::replace(&mut self.begun, true),
        };
        self.outputs.line(&Line::Sensor(sensor));
    }

    fn stats(&mut self, at: Stamp, counters: &Counters) {
        let mut counters = counters.clone();
        counters.lines_lost += self.outputs.lost();
        self.outputs.line(&Line::Stats(Stats { at, counters: &counters }));
    }

    fn reopen(&mut self) {
        self.outputs.reopen();
    }

    fn interface(&mut self, iface: u32, name: &str) {
        self.outputs.interface(iface, name);
    }

    fn flush(&mut self) {
        self.outputs.flush();
    }

    fn closed(&self) -> bool {
        self.outputs.closed()
    }
}

/// Settings of a run that replays captures.
pub fn settings(config: &Config) -> Settings {
    settings_with(config, SEED)
}

/// Settings of a run whose hash tables have this key.
pub(super) fn settings_with(config: &Config, seed: u64) -> Settings {
    let judge = config.judge(seed);
    Settings {
        ports: config.ports.clone(),
        dns: config.interests.contains(&Interests::Dns),
        limits: config.limits.clone(),
        hold_after: judge.tuning.hold_after(),
        tuning: judge.tuning.clone(),
        judge,
        seed,
        points: true,
        workers: config.workers.max(1),
    }
}

/// Reads captures to their ends.
///
/// # Errors
///
/// Where the run could not begin.
pub fn read(options: &ReadOptions) -> Result<Outcome, Box<dyn Error>> {
    let outputs = open_outputs(
        &options.config,
        &options.lines,
        &options.captures,
        Writing::Anew,
        crate::rules::ALL,
    )?;
    let mut failed = false;
    let mut complain = |what: &dyn std::fmt::Display| {
        failed = true;
        // Nobody is left to be told if standard error fails.
        let _ = writeln!(io::stderr(), "botlike: {what}");
    };
    let source = Options { filter: options.filter.clone() };
    let (mut captures, errors) = Captures::open(&options.captures, &source);
    errors.iter().for_each(|error| complain(error));
    let settings = Settings { points: options.captures.len() == 1, ..settings(&options.config) };
    let mut pipeline = Pipeline::new(&settings, Printer::new(&options.config, outputs));
    let bar = options.progress.then(|| Bar::new(captures.progress().total));
    let (mut frames, mut named) = (0u64, 0u32);
    loop {
        if !captures.buffered() {
            pipeline.flush();
            if pipeline.closed() {
                break;
            }
            if let Some(bar) = &bar {
                bar.show(captures.progress().read, frames);
            }
        }
        if !captures.step() {
            break;
        }
        let Some(frame) = captures.frame() else { break };
        frames += 1;
        let iface = frame.iface;
        // Borrowed from the reader: taken in before anything else is asked of it.
        pipeline.frame(&frame);
        if iface >= named {
            for iface in named..=iface {
                if let Some(name) = captures.interface_name(iface) {
                    pipeline.interface(iface, name);
                }
            }
            named = iface + 1;
        }
        let lost = captures.lost();
        if lost > 0 {
            pipeline.lost(lost);
        }
        if frames % 1024 == 0 && pipeline.closed() {
            break;
        }
    }
    if let Some(bar) = bar {
        bar.clear();
    }
    captures.take_errors().iter().for_each(|error| complain(error));
    let end = pipeline.finish();
    let outputs = end.sink.end(&end.counters, end.last);
    outputs.failures().for_each(|failure| complain(failure));
    if options.verbose > 0 {
        for (name, value, meaning) in end.counters.list().filter(|(_, value, _)| *value > 0) {
            let _ = writeln!(io::stderr(), "{value:>14} {name}: {meaning}");
        }
    }
    Ok(Outcome { failed, worst: outputs.worst() })
}

/// How far reading is, on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
        let style = if total.is_some() {
            "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg} ETA {eta}"
        } else {
            "{spinner} {bytes} {binary_bytes_per_sec} {msg}"
        };
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    fn show(&self, read: u64, frames: u64) {
        self.0.set_position(read);
        let seconds = self.0.elapsed().as_secs_f64().max(0.001);
        self.0.set_message(format!("{:.0} packets/s", frames as f64 / seconds));
    }

    fn clear(&self) {
        self.0.finish_and_clear();
    }
}
