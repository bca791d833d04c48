//! From settings as written to settings as meant by core.

use botlike_core::base::{Limits, Net as Network};
use botlike_core::detect::{ALL, Tuning, TuningError};
use botlike_core::judge::{self, HostRule};

use super::{Config, Detect, Net};

impl Config {
    /// What the judge is told.
    pub fn judge(&self, seed: u64) -> judge::Settings {
        let nets = |nets: &[Net]| nets.iter().map(network).collect();
        let hosts = self.hosts.iter().map(|host| HostRule {
            net: network(&host.net),
            role: host.role,
            name: host.name.clone(),
            tenant: host.tenant.clone(),
        });
        let acks = self.acks.iter().filter_map(|ack| {
            let entry = ALL.iter().position(|entry| entry.id == ack.rule)?;
            Some(judge::Ack {
                entry: u16::try_from(entry).ok()?,
                net: network(&ack.host),
                until: ack.until,
            })
        });
        judge::Settings {
            watched: nets(&self.watched),
            public: nets(&self.public),
            resolvers: nets(&self.resolvers),
            hosts: hosts.collect(),
            tuning: self.tuning(seed),
            limits: Limits::clone(&self.limits),
            seed,
            acks: acks.collect(),
        }
    }

    fn tuning(&self, seed: u64) -> Tuning {
        let mut tuning = Tuning::default();
        tuning.set_seed(seed);
        for detect in &self.detect {
            // The reader has checked ids, keys and types against the same list.
            let set = set(&mut tuning, detect);
            debug_assert_eq!(set, Ok(()), "{}", detect.id);
        }
        tuning
    }
}

fn set(tuning: &mut Tuning, detect: &Detect) -> Result<(), TuningError> {
    tuning.set_enabled(detect.id, detect.enabled)?;
    if let Some(severity) = detect.severity {
        tuning.set_severity(detect.id, severity)?;
    }
    if let Some(window) = detect.window {
        tuning.set_window(detect.id, window)?;
    }
    detect.settings.iter().try_for_each(|(key, value)| tuning.set(detect.id, key, value.clone()))
}

fn network(net: &Net) -> Network {
    Network::new(net.addr(), net.bits())
}
