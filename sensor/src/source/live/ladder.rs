//! The rungs from the best down, and the interfaces as they come and go.
//!
//! Promises: every rung that fails says why, with what the kernel said and what would help; an interface that vanishes
//! ends nothing; one that comes is taken in if it is among those that were asked for.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use botlike_core::base::{Nanos, SECOND, Stamp};

use super::interfaces::{self, Choice, Kind, Link, Watcher};
use super::{
    Interest, Interface, Live, Losses, Observe, Places, Point, Rung, RungError, RungKind, Taker,
    open_rung,
};
use crate::config::{Config, Interests, Net};

/// Packets may come so long after their stamp: blocks of a ring that wait to be full, another processor's record. What is
/// due by time alone happens so much later.
const LAG: Nanos = SECOND;
/// Changes of interfaces that are heeded at a time, so that a storm of them does not keep packets waiting.
const CHANGES: usize = 64;

/// A rung, and the interfaces that it takes packets at.
pub struct Ladder {
    rung: Box<dyn Rung>,
    watcher: Option<Watcher>,
    patterns: Vec<String>,
    observe: Option<Observe>,
    links: Vec<Link>,
    points: Vec<Point>,
    next_number: u32,
    /// Points that the taker has not heard of.
    untold: Vec<(u32, String)>,
    changed: bool,
    told: Losses,
    verbose: u8,
}

impl Ladder {
    /// Takes the best rung that works, at the interfaces that the configuration names, or at all that are suitable.
    ///
    /// # Errors
    ///
    /// Where no rung works: what each said stands on standard error.
    pub fn open(config: &Config, verbose: u8) -> Result<Self, RungError> {
        let links = interfaces::list()?;
        // The watcher before the choice would tell what the list has already; after it, something may slip between: the
        // list is compared once more when the watcher is there.
        let watcher = Watcher::new().inspect_err(|error| {
            say(&format!("interfaces that come later are not seen: {error}"));
        });
        let choices = choose(&links, &config.interfaces)?;
        if verbose > 0 {
            for choice in &choices {
                say(&format!("{}: {}", choice.name, choice.reason));
            }
        }
        let interest = Interest {
            ports: config.ports.clone(),
            dns: config.interests.contains(&Interests::Dns),
            syn: config.interests.contains(&Interests::Syn),
        };
        let wanted: Vec<(Interface, Observe)> = choices
            .iter()
            .filter_map(|choice| {
                let link = links.iter().find(|link| link.index == choice.index)?;
                Some((link.interface()?, config.observe.unwrap_or(choice.observe?)))
            })
            .collect();
        if wanted.is_empty() && config.interfaces.is_empty() {
            let reasons: Vec<String> =
                choices.iter().map(|c| format!("{}: {}", c.name, c.reason)).collect();
            return Err(RungError {
                what: "find an interface to watch".into(),
                error: io::Error::new(io::ErrorKind::NotFound, reasons.join("; ")),
                help: "name one with -i".into(),
            });
        }
        let kinds = config.method.map_or(RungKind::ALL.to_vec(), |kind| vec![kind]);
        let mut last = None;
        for kind in kinds {
            match Self::climb(kind, &interest, config.ring, &wanted) {
                Ok((rung, points)) => {
                    let untold =
                        points.iter().map(|p| (p.number, p.interface.name.clone())).collect();
                    let next_number = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
                    let patterns = config.interfaces.clone();
                    let mut ladder = Self {
                        rung,
                        watcher: watcher.ok(),
                        patterns,
                        observe: config.observe,
                        links: links.clone(),
                        points,
                        next_number,
                        untold,
                        changed: true,
                        told: Losses::default(),
                        verbose,
                    };
                    ladder.announce();
                    ladder.refresh();
                    return Ok(ladder);
                }
                Err(error) => {
                    say(&format!("{}: {error}", kind.name()));
                    last = Some(error);
                }
            }
        }
        Err(RungError {
            what: "take packets of any interface".into(),
            error: last.map_or_else(|| io::ErrorKind::Unsupported.into(), |error| error.error),
            help: "each way said above why".into(),
        })
    }

    /// Opens a rung and attaches it to all interfaces it can; one is enough, where any was wanted.
    fn climb(
        kind: RungKind,
        interest: &Interest,
        ring: u64,
        wanted: &[(Interface, Observe)],
    ) -> Result<(Box<dyn Rung>, Vec<Point>), RungError> {
        let mut rung = open_rung(kind, interest, ring)?;
        let mut points = Vec::new();
        let mut failed = None;
        for (number, (interface, observe)) in (0u32..).zip(wanted) {
            let point = Point { number, interface: interface.clone(), observe: *observe };
            match rung.attach(&point) {
                Ok(()) => points.push(point),
                Err(error) => {
                    if let Some(before) = failed.replace(error) {
                        say(&format!("{}: {before}", kind.name()));
                    }
                }
            }
        }
        match failed {
            Some(error) if points.is_empty() => Err(error),
            Some(error) => {
                say(&format!("{}: {error}", kind.name()));
                Ok((rung, points))
            }
            None => Ok((rung, points)),
        }
    }

    /// Addresses of this machine, to tell which hosts are its own. None where guests are watched, whose addresses are
    /// others, and none where only loopback has an address yet.
    pub fn own_addresses(&self) -> Vec<Net> {
        own_addresses(&self.links)
    }

    fn announce(&self) {
        let names: Vec<String> = self
            .points
            .iter()
            .map(|point| match point.observe {
                Observe::Full => point.interface.name.clone(),
                Observe::Metadata => format!("{} (metadata only)", point.interface.name),
            })
            .collect();
        let names = if names.is_empty() { "no interface yet".into() } else { names.join(", ") };
        say(&format!("watching {names} by {}", self.rung.kind().name()));
    }

    /// Heeds interfaces that came and went.
    fn heed_changes(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut any = false;
        for _ in 0..CHANGES {
            match watcher.next_change() {
                Ok(Some(_)) => any = true,
                Ok(None) => break,
                Err(error) => {
                    say(&format!("interfaces that come later are not seen: {error}"));
                    self.watcher = None;
                    break;
                }
            }
        }
        if any {
            self.refresh();
        }
    }

    /// Compares what is there with what is watched.
    fn refresh(&mut self) {
        let links = match interfaces::list() {
            Ok(links) => links,
            Err(error) => return say(&error.to_string()),
        };
        let gone = |point: &Point| {
            !links.iter().any(|link| {
                link.index == point.interface.index && link.name == point.interface.name
            })
        };
        let vanished: Vec<Point> = self.points.iter().filter(|p| gone(p)).cloned().collect();
        for point in vanished {
            say(&format!("{} is gone", point.interface.name));
            self.rung.detach(point.interface.index);
            self.points.retain(|p| p.number != point.number);
            self.changed = true;
        }
        // A name that is not there now may come back.
        let choices = interfaces::suitable(&links, &self.patterns).unwrap_or_default();
        for choice in &choices {
            // Where a guest came, less of what passes the uplink may be looked at. It is never widened by itself.
            let observe = self.observe.or(choice.observe);
            let narrower = |p: &Point| {
                p.interface.index == choice.index
                    && observe.is_some_and(|observe| observe < p.observe)
            };
            if self.points.iter().any(narrower) {
                self.rung.detach(choice.index);
                self.points.retain(|p| !narrower(p));
                self.changed = true;
            }
            let known = self.points.iter().any(|p| p.interface.index == choice.index);
            // What is down comes again when it is up.
            let link = links.iter().find(|link| link.index == choice.index && link.up);
            let interface = link.and_then(Link::interface);
            let (false, Some(interface), Some(observe)) = (known, interface, choice.observe) else {
                continue;
            };
            let observe = self.observe.unwrap_or(observe);
            let point = Point { number: self.next_number, interface, observe };
            match self.rung.attach(&point) {
                Ok(()) => {
                    if self.verbose > 0 {
                        say(&format!("{} is watched, too", choice.name));
                    }
                    self.next_number += 1;
                    self.untold.push((point.number, choice.name.clone()));
                    self.points.push(point);
                    self.changed = true;
                }
                Err(error) => say(&format!("{}: {error}", self.rung.kind().name())),
            }
        }
        self.links = links;
    }
}

fn own_addresses(links: &[Link]) -> Vec<Net> {
    // A pair with an address at this end is this machine's own way out: it is a container itself.
    let has_guest = |link: &Link| match link.kind {
        Kind::Tap | Kind::Macvtap => link.up,
        Kind::Veth => link.up && link.elsewhere && !link.addresses.iter().any(is_routed),
        _ => false,
    };
    if links.iter().any(has_guest) {
        return Vec::new();
    }
    let own = interfaces::addresses(links);
    own.iter().filter_map(|address| Net::parse(&address.to_string()).ok()).collect()
}

/// Whether an address reaches beyond its link.
fn is_routed(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}

fn choose(links: &[Link], patterns: &[String]) -> Result<Vec<Choice>, RungError> {
    interfaces::suitable(links, patterns).map_err(|error| RungError {
        what: "find the interfaces".into(),
        error: io::Error::new(io::ErrorKind::NotFound, error.to_string()),
        help: String::new(),
    })
}

impl Live for Ladder {
    fn next(&mut self, patience: Duration, taker: &mut dyn Taker) -> Result<(), RungError> {
        self.heed_changes();
        for (number, name) in self.untold.drain(..) {
            taker.interface(number, &name);
        }
        if std::mem::take(&mut self.changed) {
            taker.places(&self.places());
        }
        let before = now();
        self.rung.take(patience, &mut |frame| taker.frame(&frame))?;
        let losses = self.rung.losses();
        let fresh = losses.sum().saturating_sub(self.told.sum());
        self.told = losses;
        if fresh > 0 {
            taker.lost(fresh);
        }
        taker.time(Stamp::from_nanos(before.saturating_sub(LAG)));
        Ok(())
    }

    fn losses(&mut self) -> Losses {
        self.rung.losses()
    }

    fn places(&self) -> Places {
        let interfaces =
            self.points.iter().map(|p| (p.interface.name.clone(), p.observe)).collect();
        Places { rung: Some(self.rung.kind()), interfaces }
    }
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn say(what: &str) {
    // Nobody is left to be told if standard error fails.
    let _ = writeln!(io::stderr(), "botlike: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(kind: Kind, elsewhere: bool, addresses: &[&str]) -> Link {
        Link {
            index: 2,
            name: "x0".into(),
            alias: String::new(),
            kind,
            master: None,
            lower: None,
            elsewhere,
            up: true,
            hardware: libc::ARPHRD_ETHER,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn whose_addresses_are_this_machines() {
        let uplink = || link(Kind::Device, false, &["192.0.2.25", "fe80::1"]);
        let own = |links: &[Link]| {
            own_addresses(links).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let host = ["192.0.2.25", "fe80::1"];
        assert_eq!(own(&[uplink()]), host);
        assert_eq!(own(&[link(Kind::Loopback, false, &["127.0.0.1"])]), [""; 0]);
        // A container's own way out, and a host with containers.
        assert_eq!(own(&[link(Kind::Veth, true, &["192.0.2.25", "fe80::1"])]), host);
        assert_eq!(own(&[uplink(), link(Kind::Veth, true, &["fe80::2"])]), [""; 0]);
        // A hypervisor; a guest that is down sends nothing.
        assert_eq!(own(&[uplink(), link(Kind::Tap, false, &[])]), [""; 0]);
        assert_eq!(own(&[uplink(), Link { up: false, ..link(Kind::Tap, false, &[]) }]), host);
    }
}
