//! `botlike watch`: packets of this machine, until somebody says that it is enough.
//!
//! Promises: the same frames give the same lines as `read` gives of a recording of them, the lines about the sensor itself
//! aside; nobody is waited for, neither a disk nor a reader of lines; INT and TERM end in order: what is open is told, and
//! a last stats line; HUP opens files again.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use botlike_core::base::{Counters, MILLI, Nanos, Stamp};

use super::pipeline::Pipeline;
use super::read::settings_with;
use super::{Destination, Outcome, Printer, Writing, open_outputs};
use crate::config::Config;
use crate::source::Frame;
use crate::source::live::{Live, Losses, Places, Taker};

/// How long a source may wait when nothing comes. A signal is heeded after so long at the latest.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often a source is asked for what passed before the end.
const DRAIN: usize = 64;
/// Lines are shown so long after they were made, at the latest.
const FLUSH: Nanos = 200 * MILLI;

/// What `botlike watch` was asked to do. The command line went into `config` where both can say a thing.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The configuration.
    pub config: Config,
    /// Where lines go.
    pub lines: Destination,
    /// Key of the hash tables; `None`: a random one, which nobody outside can aim at.
    pub seed: Option<u64>,
    /// How much to tell on standard error beside errors.
    pub verbose: u8,
}

/// What somebody outside wants of a run.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
}

impl Signals {
    /// Those of this process: INT and TERM stop, a second one at once; HUP opens files again.
    ///
    /// # Errors
    ///
    /// What the system says against it.
    #[cfg(unix)]
    pub fn of_process() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::flag;
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // Only acts when the flag is up already: who asks twice means it.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&signals.stop))?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        flag::register(SIGHUP, Arc::clone(&signals.reopen))?;
        Ok(signals)
    }

    /// It is enough.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Files were moved away.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Watches until it is told to stop, nobody reads any more, or the source ends.
///
/// # Errors
///
/// Where the run could not begin.
pub fn watch(
    options: &WatchOptions,
    source: &mut dyn Live,
    signals: &Signals,
) -> Result<Outcome, Box<dyn Error>> {
    let config = &options.config;
    let outputs = open_outputs(config, &options.lines, &[], Writing::Live, crate::rules::ALL)?;
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one("botlike"));
    let mut desk = Desk {
        pipeline: Pipeline::new(&settings_with(config, seed), Printer::new(config, outputs)),
        begun: false,
        frames: 0,
        places: Places::default(),
        now: Stamp::ZERO,
        flushed: Stamp::ZERO,
    };
    let mut service = Service::default();
    let mut failed = false;
    let mut told = Stamp::ZERO;
    while !signals.stopped() && !desk.pipeline.closed() {
        if signals.reopen.swap(false, Ordering::Relaxed) {
            desk.pipeline.reopen();
        }
        if let Err(error) = source.next(PATIENCE, &mut desk) {
            failed = true;
            complain(&error);
            break;
        }
        if told == Stamp::ZERO {
            told = desk.now;
        } else if desk.now.since(told) >= config.stats_every {
            told = desk.now;
            desk.pipeline.stats(desk.now, &counters(source.losses()));
        }
        service.alive(&desk.places);
    }
    service.ends();
    // What passed before the signal is still on its way, for as long as a ring keeps it back.
    let mut quiet = 0;
    for _ in 0..DRAIN {
        let before = desk.frames;
        if failed || quiet == 2 || source.next(PATIENCE, &mut desk).is_err() {
            break;
        }
        quiet = if desk.frames == before { quiet + 1 } else { 0 };
    }
    let end = desk.pipeline.finish();
    let mut counted = end.counters;
    counted.add(&counters(source.losses()));
    let outputs = end.sink.end(&counted, end.last);
    if options.verbose > 0 {
        for (name, value, meaning) in counted.list().filter(|(_, value, _)| *value > 0) {
            let _ = writeln!(io::stderr(), "{value:>14} {name}: {meaning}");
        }
    }
    Ok(Outcome { failed: failed || outputs.lost() > 0, worst: outputs.worst() })
}

fn complain(what: &dyn std::fmt::Display) {
    // Nobody is left to be told if standard error fails.
    let _ = writeln!(io::stderr(), "botlike: {what}");
}

fn counters(losses: Losses) -> Counters {
    Counters {
        lost_ring: losses.ring_full,
        lost_unreadable: losses.unreadable,
        lost_kernel: losses.kernel,
        ..Counters::default()
    }
}

/// Takes what the source has, and hands it on.
struct Desk {
    pipeline: Pipeline<Printer>,
    begun: bool,
    frames: u64,
    places: Places,
    now: Stamp,
    flushed: Stamp,
}

impl Desk {
    fn begin(&mut self, at: Stamp) {
        self.begun = true;
        self.pipeline.begin(at, Some(&self.places));
    }
}

impl Taker for Desk {
    fn interface(&mut self, number: u32, name: &str) {
        self.pipeline.interface(number, name);
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        if !self.begun {
            self.begin(frame.at);
        }
        self.frames += 1;
        self.pipeline.frame(frame);
    }

    fn lost(&mut self, packets: u64) {
        self.pipeline.lost(packets);
    }

    fn time(&mut self, at: Stamp) {
        if !self.begun {
            self.begin(at);
        }
        self.now = at;
        self.pipeline.time(at);
        if at.since(self.flushed) >= FLUSH || at < self.flushed {
            self.flushed = at;
            self.pipeline.flush();
        }
    }

    fn places(&mut self, places: &Places) {
        if self.places != *places {
            self.places.clone_from(places);
            // The line that says so stands before the frames from there.
            self.begun = false;
        }
    }
}

/// What a service manager is told, where there is one (sd_notify(3)).
#[derive(Default)]
struct Service {
    ready: bool,
}

#[cfg(target_os = "linux")]
impl Service {
    /// The run goes on, with packets taken at these places.
    fn alive(&mut self, places: &Places) {
        use sd_notify::NotifyState;
        // Without a manager, or where it does not listen, nothing is lost.
        if !self.ready && places.rung.is_some() {
            self.ready = true;
            let status = format!("watching {} interfaces", places.interfaces.len());
            let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
        }
        if sd_notify::watchdog_enabled().is_some() {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }

    fn ends(&self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    }
}

#[cfg(not(target_os = "linux"))]
impl Service {
    fn alive(&mut self, _: &Places) {
        self.ready = true;
    }

    fn ends(&self) {}
}
