//! Frames in, events out: the front, the trackers and the judge, in one thread or in several.
//!
//! Promises: the same frames give the same events in the same order, whatever the number of workers. With one worker
//! nothing crosses a thread and no packet is copied. With more, frames are dealt out after decapsulation and fragment
//! reassembly by a symmetric hash of the inner flow; each worker is also told when time passed in the frames of the
//! others, so that its deadlines fall between the same two frames as if it saw them all. Queues are bounded; a full one
//! makes the reader wait.

use botlike_core::base::{Counters, Limits, Nanos, Ports, SECOND, Stamp};
use botlike_core::detect::Tuning;
use botlike_core::judge::{self, EventSink, Judge};
use botlike_core::tracker::{Fact, FactSink, Input, Key, Tracker};
use botlike_core::wire::{Front, Packet};

use super::threads::Threads;
use crate::source::Frame;
use crate::source::live::Places;

/// Where events go. It lives in the judge's thread.
pub trait Sink: EventSink + Send + 'static {
    /// The input begins at this stamp, or is taken at other `places` from now on; `None`: it is no live one.
    fn begin(&mut self, at: Stamp, places: Option<&Places>);
    /// What was counted so far.
    fn stats(&mut self, at: Stamp, counters: &Counters);
    /// Files shall be opened again: somebody moved them away.
    fn reopen(&mut self);
    /// From now on, the interface that the source numbers `iface` has this name.
    fn interface(&mut self, iface: u32, name: &str);
    /// Nothing is known to follow soon: what was told should be seen.
    fn flush(&mut self);
    /// Nobody listens any more.
    fn closed(&self) -> bool;
}

/// What a pipeline is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ports of SMTP servers.
    pub ports: Vec<u16>,
    /// Whether DNS is looked at.
    pub dns: bool,
    /// Caps and time-outs.
    pub limits: Limits,
    /// Settings of the rules.
    pub tuning: Tuning,
    /// What the judge is told.
    pub judge: judge::Settings,
    /// See [`tracker::Settings::hold_after`](botlike_core::tracker::Settings::hold_after).
    pub hold_after: Nanos,
    /// Key of the hash tables.
    pub seed: u64,
    /// Of what several interfaces show, what one of them shows is taken, and copies are passed over.
    pub points: bool,
    /// Worker threads; 1: none.
    pub workers: usize,
}

impl Settings {
    /// A worker's tracker. The caps hold for all workers together.
    pub(super) fn tracker(&self) -> Tracker {
        let mut limits = self.limits.clone();
        for cap in [&mut limits.flows, &mut limits.sessions, &mut limits.reorder_total] {
            *cap = cap.div_ceil(self.workers.max(1));
        }
        Tracker::new(botlike_core::tracker::Settings {
            limits,
            tuning: self.tuning.clone(),
            ports: Ports::new(&self.ports),
            hold_after: self.hold_after,
            seed: self.seed,
        })
    }
}

/// What a run ends with.
#[derive(Debug)]
pub struct End<S> {
    /// The sink, with what it knows.
    pub sink: S,
    /// Of all stages together.
    pub counters: Counters,
    /// Stamp of the last frame; `None` if there was no frame.
    pub last: Option<Stamp>,
}

enum Engine<S> {
    Inline { tracker: Box<Tracker>, judge: Box<Judge>, sink: S },
    Threads(Box<Threads<S>>),
}

/// Frames in, events out.
pub struct Pipeline<S> {
    front: Front,
    engine: Engine<S>,
    /// Frames so far.
    number: u64,
    /// Stamp of the last frame of which the trackers know.
    ticked: Stamp,
    last: Option<Stamp>,
    begun: bool,
}

/// Frames of no interest still say what time it is, this often.
const TICK: Nanos = SECOND;

/// Hands facts to the judge, and what it says to the sink.
pub(super) struct ToJudge<'a, S> {
    pub(super) judge: &'a mut Judge,
    pub(super) sink: &'a mut S,
}

impl<S: EventSink> FactSink for ToJudge<'_, S> {
    fn fact(&mut self, at: Stamp, key: Key, fact: Fact<'_>) {
        self.judge.push(at, key, fact, self.sink);
    }
}

fn front(settings: &Settings) -> Front {
    let mut front =
        Front::new(&settings.ports, &settings.limits).seeded(&settings.limits, settings.seed);
    if settings.dns {
        front = front.with_dns(&settings.ports);
    }
    if !settings.points {
        front = front.with_copies();
    }
    front
}

impl<S: Sink> Pipeline<S> {
    /// A pipeline that has seen nothing.
    pub fn new(settings: &Settings, sink: S) -> Self {
        let engine = if settings.workers <= 1 {
            let judge = Box::new(Judge::new(settings.judge.clone()));
            Engine::Inline { tracker: Box::new(settings.tracker()), judge, sink }
        } else {
            Engine::Threads(Box::new(Threads::start(settings, sink)))
        };
        Self {
            front: front(settings),
            engine,
            number: 0,
            ticked: Stamp::ZERO,
            last: None,
            begun: false,
        }
    }

    /// The input begins, or is taken at other places from now on. Where nobody says so, the first frame does.
    pub fn begin(&mut self, at: Stamp, places: Option<&Places>) {
        self.begun = true;
        match &mut self.engine {
            Engine::Inline { sink, .. } => sink.begin(at, places),
            Engine::Threads(threads) => threads.begin(at, places),
        }
    }

    /// Takes in the next frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let at = frame.at;
        self.number += 1;
        self.last = Some(at);
        if !self.begun {
            self.begin(at, None);
        }
        let number = self.number;
        match self.front.frame(at, frame.link, frame.iface, frame.data, frame.orig_len) {
            Some(packet) => {
                self.ticked = at;
                match &mut self.engine {
                    Engine::Inline { tracker, judge, sink } => {
                        let input = match packet {
                            Packet::Segment(segment) => Input::Frame { number, segment },
                            Packet::Dns(datagram) => Input::Dns { number, datagram },
                        };
                        tracker.push(at, input, &mut ToJudge { judge, sink });
                    }
                    Engine::Threads(threads) => match packet {
                        Packet::Segment(segment) => threads.segment(at, number, &segment),
                        Packet::Dns(datagram) => threads.dns(at, number, &datagram),
                    },
                }
            }
            None if at < self.ticked || at.since(self.ticked) >= TICK => {
                self.ticked = at;
                match &mut self.engine {
                    Engine::Inline { tracker, judge, sink } => {
                        tracker.push(at, Input::Idle { number }, &mut ToJudge { judge, sink });
                    }
                    Engine::Threads(threads) => threads.tick(at, number),
                }
            }
            None => {}
        }
    }

    /// It is `at`, and no frame that comes is older: what is due happens now. Changes nothing but when it is told.
    pub fn time(&mut self, at: Stamp) {
        if at <= self.ticked || self.last.is_some_and(|last| at <= last) {
            return;
        }
        self.ticked = at;
        self.last = Some(at);
        let number = self.number + 1;
        match &mut self.engine {
            Engine::Inline { tracker, judge, sink } => {
                let mut to_judge = ToJudge { judge, sink };
                tracker.push(at, Input::Idle { number }, &mut to_judge);
                judge.idle(at, sink);
            }
            Engine::Threads(threads) => threads.time(at, number),
        }
    }

    /// Tells what was counted so far; `source` is what the source counted.
    pub fn stats(&mut self, at: Stamp, source: &Counters) {
        let mut counters = self.front.counters().clone();
        counters.add(source);
        match &mut self.engine {
            Engine::Inline { tracker, judge, sink } => {
                counters.add(&tracker.counters());
                counters.add(judge.counters());
                sink.stats(at, &counters);
            }
            Engine::Threads(threads) => threads.stats(at, counters),
        }
    }

    /// Files shall be opened again.
    pub fn reopen(&mut self) {
        match &mut self.engine {
            Engine::Inline { sink, .. } => sink.reopen(),
            Engine::Threads(threads) => threads.reopen(),
        }
    }

    /// The source lost packets.
    pub fn lost(&mut self, packets: u64) {
        match &mut self.engine {
            Engine::Inline { tracker, judge, sink } => {
                tracker.push(self.ticked, Input::Lost { packets }, &mut ToJudge { judge, sink });
            }
            Engine::Threads(threads) => threads.lost(packets),
        }
    }

    /// The source named an interface.
    pub fn interface(&mut self, iface: u32, name: &str) {
        match &mut self.engine {
            Engine::Inline { sink, .. } => sink.interface(iface, name),
            Engine::Threads(threads) => threads.interface(iface, name),
        }
    }

    /// The next frame may take a while: shows what is known.
    pub fn flush(&mut self) {
        match &mut self.engine {
            Engine::Inline { sink, .. } => sink.flush(),
            Engine::Threads(threads) => threads.flush(),
        }
    }

    /// Nobody listens any more.
    pub fn closed(&self) -> bool {
        match &self.engine {
            Engine::Inline { sink, .. } => sink.closed(),
            Engine::Threads(threads) => threads.closed(),
        }
    }

    /// The input ended.
    pub fn finish(mut self) -> End<S> {
        let number = self.number + 1;
        let at = self.last.unwrap_or(Stamp::ZERO);
        let (sink, mut counters) = match self.engine {
            Engine::Inline { mut tracker, mut judge, mut sink } => {
                let mut to_judge = ToJudge { judge: &mut judge, sink: &mut sink };
                tracker.push(at, Input::Idle { number }, &mut to_judge);
                tracker.finish(&mut to_judge);
                judge.idle(at, &mut sink);
                judge.finish(&mut sink);
                let mut counters = tracker.counters();
                counters.add(judge.counters());
                (sink, counters)
            }
            Engine::Threads(ref mut threads) => {
                threads.tick(at, number);
                threads.finish(at)
            }
        };
        counters.add(self.front.counters());
        End { sink, counters, last: self.last }
    }
}
