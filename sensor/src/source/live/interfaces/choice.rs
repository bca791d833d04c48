//! Which interfaces to watch.
//!
//! Each packet shall pass one point at least and, where that can be known, no more: guests' taps and uplinks are taken,
//! not the bridges between them. What passes several points all the same (a guest's packet on its tap and on the uplink)
//! is sorted out later, by flow.

use std::fmt;

use super::super::Observe;
use super::{Kind, Link};

/// What becomes of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The kernel's number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// How far to look, if nothing else is configured; `None`: it is left out.
    pub observe: Option<Observe>,
    /// Why, in words.
    pub reason: String,
}

/// A name was asked for that no interface has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownInterface {
    /// The name.
    pub name: String,
    /// The name most like it, where one is.
    pub nearest: Option<String>,
    /// Those that there are.
    pub there: Vec<String>,
}

impl fmt::Display for UnknownInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no interface \"{}\"", self.name)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean \"{nearest}\"?")?;
        }
        if self.there.is_empty() {
            return write!(f, "; there are none at all");
        }
        write!(f, "; there are: {}", self.there.join(", "))
    }
}

impl std::error::Error for UnknownInterface {}

/// Whether a name fits a pattern, in which `*` stands for any characters, none included.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether what is behind it is another's machine, of which no more than metadata is looked at unless that is granted.
fn is_guest(link: &Link) -> bool {
    matches!(link.kind, Kind::Tap | Kind::Macvtap)
        || ["vnet", "tap", "fwpr"].iter().any(|prefix| link.name.starts_with(prefix))
}

/// The choice among interfaces. Taps of guests are looked at for metadata only, and where there are guests all that their
/// packets may pass. No pattern: all that are suitable. A name without `*` is taken as asked, whatever it is;
/// of the others that fit a pattern the suitable ones are taken. One choice for each interface, in the order of `links`.
///
/// # Errors
///
/// A name without `*` that is none of these interfaces'.
pub fn suitable(links: &[Link], patterns: &[String]) -> Result<Vec<Choice>, UnknownInterface> {
    if let Some(name) = patterns
        .iter()
        .find(|name| !name.contains('*') && !links.iter().any(|link| link.name == **name))
    {
        let there: Vec<String> = links.iter().map(|link| link.name.clone()).collect();
        let nearest = there
            .iter()
            .map(|known| (strsim::damerau_levenshtein(name, known), known))
            .filter(|(distance, known)| *distance <= (known.len().max(name.len()) / 2).max(1))
            .min()
            .map(|(_, known)| known.clone());
        return Err(UnknownInterface { name: name.clone(), nearest, there });
    }
    let choosing = Choosing { links, patterns };
    let mut choices: Vec<Choice> = links.iter().map(|link| choosing.choice(link)).collect();
    // Their packets pass the uplinks, too, and are no more the operator's own there.
    if links.iter().any(|link| is_guest(link) && link.up) {
        for (choice, link) in choices.iter_mut().zip(links) {
            if choice.observe == Some(Observe::Full)
                && !matches!(link.kind, Kind::Loopback | Kind::Veth)
            {
                choice.observe = Some(Observe::Metadata);
                choice.reason.push_str(", which packets of guests pass, too");
            }
        }
    }
    let nothing = choices.iter().all(|choice| choice.observe.is_none());
    if nothing && patterns.is_empty() {
        for (choice, link) in choices.iter_mut().zip(links) {
            if link.is_loopback() && link.up {
                choice.observe = Some(Observe::Full);
                choice.reason = "the loopback, as nothing else carries anything".to_owned();
            }
        }
    }
    Ok(choices)
}

struct Choosing<'a> {
    links: &'a [Link],
    patterns: &'a [String],
}

impl Choosing<'_> {
    fn choice(&self, link: &Link) -> Choice {
        let verdict = self.refused(link).or_else(|| self.covered(link)).map_or_else(
            || {
                let observe = if is_guest(link) { Observe::Metadata } else { Observe::Full };
                (Some(observe), self.merit(link))
            },
            |reason| (None, reason),
        );
        let (observe, reason) = verdict;
        Choice { index: link.index, name: link.name.clone(), observe, reason }
    }

    /// Whether it is asked for by its whole name.
    fn named(&self, link: &Link) -> bool {
        self.patterns.contains(&link.name)
    }

    /// Why it carries nothing that could be taken, whatever others do.
    fn refused(&self, link: &Link) -> Option<String> {
        if link.link_type().is_none() {
            return Some(format!(
                "its link layer (hardware type {}) is not understood",
                link.hardware
            ));
        }
        if self.named(link) {
            return None;
        }
        let fits = |pattern: &String| fits(pattern, &link.name);
        if !self.patterns.is_empty() && !self.patterns.iter().any(fits) {
            return Some("it was not asked for".to_owned());
        }
        let reason = match &link.kind {
            _ if !link.up => "it is down",
            Kind::Loopback => "it is the loopback: name it to watch it",
            Kind::Dummy => "a dummy sends into nothing",
            Kind::Ifb => "it holds copies that traffic control makes",
            Kind::Other(kind) if kind == "nlmon" => "it shows netlink messages",
            _ => return None,
        };
        Some(reason.to_owned())
    }

    /// Why everything that passes it passes another interface, too, which is watched or covered in its turn. The kernel
    /// allows no circles, so that asking whether that one is refused is enough.
    fn covered(&self, link: &Link) -> Option<String> {
        if self.named(link) {
            return None;
        }
        let by_number = |index: Option<u32>| {
            self.links
                .iter()
                .find(|other| Some(other.index) == index && self.refused(other).is_none())
        };
        let ports = || self.links.iter().filter(|other| other.master == Some(link.index));
        match link.kind {
            Kind::Bridge => {
                if let Some(port) = ports().find(|port| self.refused(port).is_none()) {
                    return Some(format!("a bridge, whose port {} is watched", port.name));
                }
                // With a wildcard that leaves the ports out it is what was asked for.
                if ports().next().is_none() && link.addresses.is_empty() {
                    return Some("a bridge without ports".to_owned());
                }
            }
            Kind::Vrf => {
                if let Some(port) = ports().find(|port| self.refused(port).is_none()) {
                    return Some(format!("a VRF, whose interface {} is watched", port.name));
                }
            }
            Kind::Vlan | Kind::Macvlan | Kind::Ipvlan => {
                if let Some(lower) = by_number(link.lower) {
                    let kind = link.kind.name();
                    return Some(format!("a {kind} of {}, whose packets are watched", lower.name));
                }
            }
            Kind::Veth => {
                if let Some(peer) = by_number(link.lower) {
                    if let Some(reason) = self.joins(link, peer) {
                        return Some(reason);
                    }
                    if link.index > peer.index {
                        return Some(format!(
                            "the other end of {}, whose packets are watched",
                            peer.name
                        ));
                    }
                }
            }
            _ => {}
        }
        let master = by_number(link.master).filter(|master| master.kind == Kind::Bond)?;
        Some(format!("a slave of {}, whose packets are watched", master.name))
    }

    /// A pair whose ends are ports of two bridges, one of which has another port that is watched: every packet on the pair
    /// passes such a port, or is the host's own at the other bridge, which has one as well then.
    fn joins(&self, link: &Link, peer: &Link) -> Option<String> {
        let others = |end: &Link| {
            let master = end.master?;
            self.links.iter().find(|other| {
                other.master == Some(master)
                    && other.index != end.index
                    && other.lower != Some(end.index)
                    && (other.kind != Kind::Veth || other.elsewhere)
                    && self.refused(other).is_none()
            })
        };
        let (one, two) = (others(link)?, others(peer)?);
        Some(format!("it joins two bridges, whose ports {} and {} are watched", one.name, two.name))
    }

    /// What it is taken for.
    fn merit(&self, link: &Link) -> String {
        match &link.kind {
            _ if self.named(link) => "it was asked for".to_owned(),
            _ if is_guest(link) => "a guest's tap".to_owned(),
            Kind::Veth if link.elsewhere => "a guest in another network namespace".to_owned(),
            Kind::Device => "an uplink".to_owned(),
            Kind::Bond => "an uplink, with its slaves".to_owned(),
            Kind::Bridge => "a bridge, none of whose ports is watched".to_owned(),
            kind => format!("a {}", kind.name()),
        }
    }
}
