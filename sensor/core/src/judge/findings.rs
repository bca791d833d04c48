//! The life of findings: opened at the first hit, told again when they grow, closed when nothing came for their window.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Direction, Event, EventSink, Finding, Settings, Status};
use crate::base::{Addr, Counters, Flow, MINUTE, Nanos, Stamp};
use crate::detect::{Evidence, NotObservable, Tuned};

/// A finding that grows is told again at most so often.
const TOLD_AGAIN: Nanos = 10 * MINUTE;

/// A hit that was admitted.
pub(super) struct Seen {
    pub(super) at: Stamp,
    pub(super) entry: u16,
    pub(super) level: u8,
    pub(super) evidence: Vec<Evidence>,
    pub(super) flow: Option<Flow>,
    pub(super) not_observable: NotObservable,
}

#[derive(Debug)]
struct Open {
    finding: Finding,
    told: Stamp,
    /// Its place in `deadlines`, which may lie before its true deadline.
    deadline: Stamp,
}

/// All open findings.
#[derive(Debug)]
pub(super) struct Findings {
    open: HashMap<(u16, Addr), Open, FixedState>,
    deadlines: BTreeSet<(Stamp, Addr, u16)>,
    cap: usize,
}

impl Findings {
    pub(super) fn new(cap: usize, seed: u64) -> Self {
        Self {
            open: HashMap::with_hasher(FixedState::with_seed(seed)),
            deadlines: BTreeSet::new(),
            cap,
        }
    }

    /// Takes in a hit on a host.
    pub(super) fn hit(
        &mut self,
        seen: Seen,
        host: Addr,
        direction: Direction,
        settings: &Settings,
        counters: &mut Counters,
        sink: &mut impl EventSink,
    ) {
        let Seen { at, entry, level, evidence, flow, not_observable } = seen;
        if settings.is_acked(entry, host, at) {
            return;
        }
        let severity = settings.severity(entry, level);
        let window = settings.tuning.of(entry).map_or(0, Tuned::window);
        if let Some(open) = self.open.get_mut(&(entry, host)) {
            let finding = &mut open.finding;
            // Levels stand in the order of their weight, the worst first.
            let worse = severity > finding.severity
                || severity == finding.severity && level < finding.level;
            finding.count += 1;
            finding.last_seen = at;
            let due = at.plus(window);
            if due < open.deadline {
                // The stamp before was from elsewhere, and what it put off comes nearer again.
                self.deadlines.remove(&(open.deadline, host, entry));
                self.deadlines.insert((due, host, entry));
                open.deadline = due;
                open.told = open.told.min(at);
            }
            finding.not_observable |= not_observable;
            if worse || level == finding.level {
                finding.level = level;
                finding.severity = severity;
                finding.evidence = evidence;
                finding.flow = flow.or(finding.flow);
                finding.direction = direction;
            }
            if worse || at.since(open.told) >= TOLD_AGAIN {
                finding.status = Status::Update;
                open.told = at;
                tell(at, finding, settings, sink);
            }
            return;
        }
        if self.open.len() >= self.cap {
            counters.findings_dropped += 1;
            return;
        }
        counters.findings_opened += 1;
        let finding = Finding {
            entry,
            level,
            severity,
            status: Status::Open,
            host,
            count: 1,
            first_seen: at,
            last_seen: at,
            flow,
            evidence,
            not_observable,
            direction,
        };
        tell(at, &finding, settings, sink);
        let deadline = at.plus(window);
        self.deadlines.insert((deadline, host, entry));
        self.open.insert((entry, host), Open { finding, told: at, deadline });
    }

    /// Closes what is past its deadline at `now`, the oldest deadline first.
    pub(super) fn close(&mut self, now: Stamp, sink: &mut impl EventSink, settings: &Settings) {
        while let Some(&(deadline, host, entry)) =
            self.deadlines.first().filter(|(deadline, ..)| *deadline <= now)
        {
            self.deadlines.pop_first();
            let Some(open) = self.open.get_mut(&(entry, host)) else { continue };
            let window = settings.tuning.of(entry).map_or(0, Tuned::window);
            let due = open.finding.last_seen.plus(window);
            if due > deadline {
                open.deadline = due;
                self.deadlines.insert((due, host, entry));
                continue;
            }
            if let Some(mut open) = self.open.remove(&(entry, host)) {
                open.finding.status = Status::Closed;
                tell(open.deadline, &open.finding, settings, sink);
            }
        }
    }

    /// The input ended.
    pub(super) fn finish(&mut self, sink: &mut impl EventSink, settings: &Settings) {
        let mut left: Vec<Finding> = self.open.drain().map(|(_, open)| open.finding).collect();
        left.sort_by_key(|f| (f.first_seen, f.host, f.entry));
        self.deadlines.clear();
        for mut finding in left {
            finding.status = Status::OpenAtEnd;
            tell(finding.last_seen, &finding, settings, sink);
        }
    }
}

fn tell(at: Stamp, finding: &Finding, settings: &Settings, sink: &mut impl EventSink) {
    let (host_name, tenant) = match &finding.flow {
        Some(flow) => settings.label(flow, finding.direction),
        None => settings.names(finding.host),
    };
    sink.event(at, Event::Finding { finding, host_name, tenant });
}
