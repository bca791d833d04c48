//! Caps under a flood.

use super::*;

fn random_addr(random: &mut Random) -> Addr {
    Addr::v4((random.below(1 << 32) as u32).to_be_bytes())
}

#[test]
fn a_flood_of_addresses_meets_the_caps() {
    for seed in 0..5 {
        let mut random = Random::new(seed);
        let limits = Limits { hosts: 100, findings: 40, ..Limits::default() };
        let mut court = Court::new(Settings { limits, ..Settings::default() });
        for n in 0..5_000 {
            let one = session(random_addr(&mut random), server(n), "localhost");
            court.talks(n * SECOND, one);
        }
        let counters = court.judge.counters().clone();
        assert_eq!(counters.hosts, 5_000, "seed {seed}");
        assert_eq!(counters.hosts_evicted, 4_900, "seed {seed}");
        // A finding lasts an hour, in which 3600 hosts come.
        let told = |status| court.told.findings.iter().filter(|(_, f)| f.status == status).count();
        let opened = told(Status::Open);
        assert_eq!(opened, 80, "seed {seed}");
        assert_eq!(counters.findings_opened as usize, opened);
        assert_eq!(counters.findings_dropped as usize, 5_000 - opened);
        court.finish();
        let last = court.told.findings.iter().filter(|(_, f)| f.status == Status::OpenAtEnd);
        assert_eq!(last.count(), 40, "seed {seed}");
    }
}

/// Who is active is remembered while strangers come and go.
#[test]
fn a_flood_does_not_wash_away_who_is_active() {
    let mut random = Random::new(1);
    let limits = Limits { hosts: 100, ..Limits::default() };
    let mut court = Court::new(Settings { limits, ..Settings::default() });
    let mail_host = addr("45.0.2.10");
    let greeted = session(addr("93.184.3.4"), mail_host, "").flow;
    court.push(0, Fact::Greeted { flow: &greeted, code: 220 });
    for n in 0..20_000 {
        let stranger = session(random_addr(&mut random), server(n), "").flow;
        court.push(n * SECOND, Fact::Opened { flow: &stranger, stack: 1 });
        if n % 10 == 0 {
            let own = session(mail_host, server(n), "").flow;
            court.push(n * SECOND, Fact::Opened { flow: &own, stack: 1 });
        }
    }
    assert_eq!(court.story(), [], "the mail host is forgotten and accused");
    assert!(court.judge.counters().hosts_evicted > 19_000);
}

#[test]
fn a_host_is_forgotten_after_its_time_without_traffic() {
    for (gap, found) in [(24 * HOUR, 0), (24 * HOUR + 1, 1)] {
        let mut court = Court::new(Settings::default());
        let host = addr("45.0.2.10");
        let greeted = session(addr("93.184.3.4"), host, "").flow;
        court.push(0, Fact::Greeted { flow: &greeted, code: 220 });
        for n in 0..50 {
            let own = session(host, server(n), "").flow;
            court.push(gap, Fact::Opened { flow: &own, stack: 1 });
        }
        let many = court.story().iter().filter(|(id, ..)| *id == "fanout.dst_ips").count();
        assert_eq!(many, found, "{gap}");
    }
}

#[test]
fn caps_of_nothing_break_nothing() {
    let limits = Limits { hosts: 0, findings: 0, host_timeout: 0, ..Limits::default() };
    let mut court = Court::new(Settings { limits, ..strict() });
    traffic(3, 500).iter().for_each(|(at, fact)| court.push(*at, fact.as_fact()));
    court.finish();
    assert_eq!(court.told.findings.len(), 0);
    assert!(court.judge.counters().findings_dropped > 0);
}
