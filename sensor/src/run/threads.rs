//! Workers and the judge in threads of their own.
//!
//! The reader deals segments out in batches. A batch has one part for each worker, and every part also says when time
//! passed in the others'. The judge takes the answers batch by batch, worker by worker, and merges them by their keys,
//! so that it hears facts in the order in which a single worker would have said them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use botlike_core::base::{Counters, Endpoint, Stamp};
use botlike_core::judge::Judge;
use botlike_core::tracker::{Input, Key, OwnedFact, Tracker};
use botlike_core::wire::{Datagram, Segment, TcpFlags};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::pipeline::{Settings, Sink};
use crate::source::live::Places;

/// A batch goes on its way when it has this many segments and ticks, …
const BATCH_ITEMS: usize = 2048;
/// … or this many bytes for one worker.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait for each worker and for the judge.
const QUEUE: usize = 4;

/// A segment whose bytes lie in its batch.
struct Packed {
    number: u64,
    at: Stamp,
    src: Endpoint,
    dst: Endpoint,
    seq: u32,
    ack: u32,
    flags: TcpFlags,
    window: u16,
    ttl: u8,
    vlan: u16,
    iface: u32,
    len: u32,
    options: Range<usize>,
    payload: Range<usize>,
}

/// A packet of DNS whose bytes lie in its batch.
struct PackedDns {
    number: u64,
    at: Stamp,
    src: Endpoint,
    dst: Endpoint,
    over_tcp: bool,
    vlan: u16,
    iface: u32,
    len: u32,
    payload: Range<usize>,
}

/// One worker's part of a batch.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    segments: Vec<Packed>,
    dns: Vec<PackedDns>,
    /// Where the source reported losses: before the frame of this number.
    losses: Vec<(u64, u64)>,
}

/// What all workers are told alike.
#[derive(Clone)]
struct Work {
    /// Number and stamp of every frame at which time may have passed.
    ticks: Arc<Vec<(u64, Stamp)>>,
    /// Tell what was counted so far.
    count: bool,
    last: bool,
}

/// What happens to the sink besides events, before the batch's facts.
#[derive(Default)]
struct Notice {
    begin: Option<(Stamp, Option<Places>)>,
    interfaces: Vec<(u32, String)>,
    reopen: bool,
    flush: bool,
    /// Time passed without a frame: findings close.
    time: Option<Stamp>,
    /// Counters are told, these with those of the workers.
    stats: Option<(Stamp, Counters)>,
    /// The last batch, and the stamp of the last frame.
    last: Option<Stamp>,
}

type Answer = (Vec<(Stamp, Key, OwnedFact)>, Option<Counters>);

pub(super) struct Threads<S> {
    parts: Vec<Part>,
    ticks: Vec<(u64, Stamp)>,
    notice: Notice,
    number: u64,
    to_workers: Vec<Sender<(Part, Work)>>,
    to_judge: Sender<Notice>,
    spare: Receiver<Part>,
    workers: Vec<JoinHandle<()>>,
    judge: Option<JoinHandle<(S, Counters)>>,
    closed: Arc<AtomicBool>,
    hasher: foldhash::fast::FixedState,
}

impl<S: Sink> Threads<S> {
    pub(super) fn start(settings: &Settings, sink: S) -> Self {
        let (to_judge, notices) = bounded(QUEUE);
        let (give_back, spare) = bounded(settings.workers * QUEUE);
        let closed = Arc::new(AtomicBool::new(false));
        let (mut to_workers, mut answers, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..settings.workers {
            let (to_worker, work) = bounded(QUEUE);
            let (answer, answered) = bounded(QUEUE);
            let (tracker, give_back) = (settings.tracker(), give_back.clone());
            workers.push(thread::spawn(move || worker(tracker, &work, &answer, &give_back)));
            to_workers.push(to_worker);
            answers.push(answered);
        }
        let judge = Judge::new(settings.judge.clone());
        let tell_closed = Arc::clone(&closed);
        let judge = thread::spawn(move || preside(judge, sink, &notices, &answers, &tell_closed));
        Self {
            parts: (0..settings.workers).map(|_| Part::default()).collect(),
            ticks: Vec::new(),
            notice: Notice::default(),
            number: 0,
            to_workers,
            to_judge,
            spare,
            workers,
            judge: Some(judge),
            closed,
            hasher: foldhash::fast::FixedState::with_seed(settings.seed ^ 0x776f_726b_6572_7300),
        }
    }

    pub(super) fn begin(&mut self, at: Stamp, places: Option<&Places>) {
        self.notice.begin = Some((at, places.cloned()));
    }

    pub(super) fn reopen(&mut self) {
        self.notice.reopen = true;
        self.send(false);
    }

    pub(super) fn time(&mut self, at: Stamp, number: u64) {
        self.ticks.push((number, at));
        self.notice.time = Some(at);
        self.send(false);
    }

    pub(super) fn stats(&mut self, at: Stamp, counters: Counters) {
        self.notice.stats = Some((at, counters));
        self.send(false);
    }

    pub(super) fn interface(&mut self, iface: u32, name: &str) {
        self.notice.interfaces.push((iface, name.to_owned()));
    }

    /// The part of the worker that sees all packets between these ends.
    fn part(&mut self, src: Endpoint, dst: Endpoint) -> &mut Part {
        let hash = self.hasher.hash_one(src).wrapping_add(self.hasher.hash_one(dst));
        let index = ((u128::from(hash) * self.parts.len() as u128) >> 64) as usize;
        &mut self.parts[index]
    }

    pub(super) fn segment(&mut self, at: Stamp, number: u64, segment: &Segment<'_>) {
        self.number = number;
        let part = self.part(segment.src, segment.dst);
        let (options, payload) = (part.keep(segment.options), part.keep(segment.payload));
        part.segments.push(Packed {
            number,
            at,
            src: segment.src,
            dst: segment.dst,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            ttl: segment.ttl,
            vlan: segment.vlan,
            iface: segment.iface,
            len: segment.len,
            options,
            payload,
        });
        let full = part.bytes.len() >= BATCH_BYTES;
        self.packed(at, number, full);
    }

    pub(super) fn dns(&mut self, at: Stamp, number: u64, datagram: &Datagram<'_>) {
        self.number = number;
        let part = self.part(datagram.src, datagram.dst);
        let payload = part.keep(datagram.payload);
        part.dns.push(PackedDns {
            number,
            at,
            src: datagram.src,
            dst: datagram.dst,
            over_tcp: datagram.over_tcp,
            vlan: datagram.vlan,
            iface: datagram.iface,
            len: datagram.len,
            payload,
        });
        let full = part.bytes.len() >= BATCH_BYTES;
        self.packed(at, number, full);
    }

    fn packed(&mut self, at: Stamp, number: u64, full: bool) {
        self.ticks.push((number, at));
        if full || self.ticks.len() >= BATCH_ITEMS {
            self.send(false);
        }
    }

    pub(super) fn tick(&mut self, at: Stamp, number: u64) {
        self.number = number;
        self.ticks.push((number, at));
        if self.ticks.len() >= BATCH_ITEMS {
            self.send(false);
        }
    }

    pub(super) fn lost(&mut self, packets: u64) {
        for part in &mut self.parts {
            part.losses.push((self.number + 1, packets));
        }
    }

    pub(super) fn flush(&mut self) {
        self.notice.flush = true;
        self.send(false);
    }

    pub(super) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn finish(&mut self, at: Stamp) -> (S, Counters) {
        self.notice.last = Some(at);
        self.send(true);
        for worker in self.workers.drain(..) {
            // A worker that panicked has said why; the judge ends with it.
            let _ = worker.join();
        }
        let judge = self.judge.take().map(JoinHandle::join);
        match judge {
            Some(Ok(end)) => end,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("a run is finished once"),
        }
    }

    fn send(&mut self, last: bool) {
        let ticks = Arc::new(std::mem::take(&mut self.ticks));
        let count = last || self.notice.stats.is_some();
        // The judge hears of the batch first, so that it waits for the answers while workers are at them. A send fails
        // only if the other end panicked, which `finish` tells.
        let _ = self.to_judge.send(std::mem::take(&mut self.notice));
        for (part, worker) in self.parts.iter_mut().zip(&self.to_workers) {
            let fresh = self.spare.try_recv().unwrap_or_default();
            let work = Work { ticks: Arc::clone(&ticks), count, last };
            let _ = worker.send((std::mem::replace(part, fresh), work));
        }
    }
}

fn worker(
    mut tracker: Tracker,
    work: &Receiver<(Part, Work)>,
    answer: &Sender<Answer>,
    give_back: &Sender<Part>,
) {
    for (mut part, Work { ticks, count, last }) in work {
        let mut facts = Vec::new();
        let mut segments = part.segments.iter().peekable();
        let mut datagrams = part.dns.iter().peekable();
        let mut losses = part.losses.iter().peekable();
        for &(number, at) in ticks.iter() {
            while let Some((_, packets)) = losses.next_if(|(before, _)| *before <= number) {
                tracker.push(at, Input::Lost { packets: *packets }, &mut facts);
            }
            // Time that passed before a frame has the frame's number.
            let input = if let Some(s) = segments.next_if(|s| s.number == number && s.at == at) {
                Input::Frame { number, segment: s.open(&part.bytes) }
            } else if let Some(d) = datagrams.next_if(|d| d.number == number && d.at == at) {
                Input::Dns { number, datagram: d.open(&part.bytes) }
            } else {
                Input::Idle { number }
            };
            tracker.push(at, input, &mut facts);
        }
        for (_, packets) in losses {
            tracker.push(Stamp::ZERO, Input::Lost { packets: *packets }, &mut facts);
        }
        if last {
            tracker.finish(&mut facts);
        }
        let counters = count.then(|| tracker.counters());
        if answer.send((facts, counters)).is_err() || last {
            return;
        }
        part.bytes.clear();
        part.segments.clear();
        part.dns.clear();
        part.losses.clear();
        let _ = give_back.try_send(part);
    }
}

impl Part {
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        from..self.bytes.len()
    }
}

impl PackedDns {
    fn open<'a>(&self, bytes: &'a [u8]) -> Datagram<'a> {
        Datagram {
            src: self.src,
            dst: self.dst,
            payload: &bytes[self.payload.clone()],
            len: self.len,
            over_tcp: self.over_tcp,
            vlan: self.vlan,
            iface: self.iface,
        }
    }
}

impl Packed {
    fn open<'a>(&self, bytes: &'a [u8]) -> Segment<'a> {
        Segment {
            src: self.src,
            dst: self.dst,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            ttl: self.ttl,
            options: &bytes[self.options.clone()],
            payload: &bytes[self.payload.clone()],
            len: self.len,
            vlan: self.vlan,
            iface: self.iface,
        }
    }
}

/// The judge's thread.
fn preside<S: Sink>(
    mut judge: Judge,
    mut sink: S,
    notices: &Receiver<Notice>,
    answers: &[Receiver<Answer>],
    closed: &AtomicBool,
) -> (S, Counters) {
    let mut counters = Counters::default();
    for notice in notices {
        if let Some((at, places)) = &notice.begin {
            sink.begin(*at, places.as_ref());
        }
        if notice.reopen {
            sink.reopen();
        }
        for (iface, name) in &notice.interfaces {
            sink.interface(*iface, name);
        }
        let mut of_workers = Counters::default();
        let mut lists = Vec::with_capacity(answers.len());
        for answer in answers {
            let Ok((facts, counted)) = answer.recv() else { return (sink, counters) };
            counted.iter().for_each(|counted| of_workers.add(counted));
            lists.push(facts);
        }
        let mut heads: BinaryHeap<Reverse<(Key, usize, usize)>> =
            BinaryHeap::with_capacity(lists.len());
        let head = |lists: &[Vec<(Stamp, Key, OwnedFact)>], list: usize, at: usize| {
            lists[list].get(at).map(|(_, key, _)| Reverse((*key, list, at)))
        };
        heads.extend((0..lists.len()).filter_map(|list| head(&lists, list, 0)));
        while let Some(Reverse((_, list, index))) = heads.pop() {
            let (at, key, fact) = &lists[list][index];
            judge.push(*at, *key, fact.as_fact(), &mut sink);
            heads.extend(head(&lists, list, index + 1));
        }
        if let Some(at) = notice.time {
            judge.idle(at, &mut sink);
        }
        if let Some((at, mut counted)) = notice.stats {
            counted.add(&of_workers);
            counted.add(judge.counters());
            sink.stats(at, &counted);
        }
        if let Some(at) = notice.last {
            judge.idle(at, &mut sink);
            judge.finish(&mut sink);
            counters = of_workers;
            break;
        }
        if notice.flush {
            sink.flush();
        }
        closed.store(sink.closed(), Ordering::Relaxed);
    }
    counters.add(judge.counters());
    (sink, counters)
}
