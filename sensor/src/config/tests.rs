use botlike_core::base::{HOUR, MINUTE, SECOND};

use super::sections::midnight;
use super::*;
use crate::emit::Mode;
use crate::emit::samples::RULES;

fn good(text: &str) -> Config {
    Config::parse("x.toml", text, RULES).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(text: &str) -> Vec<String> {
    match Config::parse("x.toml", text, RULES) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn everything_at_once() {
    let config = good(
        r#"
        [capture]
        name = "mx1"
        ports = [587, 25, 25]
        workers = 4
        [network]
        watched = ["192.0.2.0/24", "2001:db8::1"]
        public = ["198.51.100.7"]
        [hosts."192.0.2.0/24"]
        tenant = "acme"
        [hosts."192.0.2.77"]
        role = "mta"
        name = "vm-101"
        [domains]
        [limits]
        flows = 1000
        idle_timeout = "5m"
        reorder_total = "1MiB"
        [detect."test.fanout"]
        enabled = false
        severity = "low"
        window = "2h"
        limit = 7
        within = "10m"
        share = 5
        names = ["a", "b"]
        [dns]
        [auth]
        [feeds]
        [privacy]
        local_parts = "hash"
        key = "000102030405060708090a0b0c0d0e0F"
        [verdict]
        [output.all]
        [output.siem]
        file = "lines.json"
        format = "json"
        lines = ["finding", "sensor"]
        privacy = "drop"
        [[ack]]
        rule = "test.fanout"
        host = "192.0.2.77"
        until = 2026-11-23
        reason = "known"
        "#,
    );
    assert_eq!(
        (config.name.as_deref(), config.workers, config.ports),
        (Some("mx1"), 4, vec![25, 587])
    );
    assert_eq!(
        format!("{:?} {:?}", config.watched, config.public),
        "[192.0.2.0/24, 2001:db8::1] [198.51.100.7]"
    );
    let hosts: Vec<_> =
        config.hosts.iter().map(|h| (h.net.to_string(), h.role, h.tenant.is_some())).collect();
    assert_eq!(
        hosts,
        [("192.0.2.77".into(), Role::Mta, false), ("192.0.2.0/24".into(), Role::Unknown, true)]
    );
    assert_eq!((config.limits.flows, config.limits.idle_timeout), (1000, 5 * MINUTE));
    assert_eq!(config.limits.reorder_total, 1 << 20);
    assert_eq!(
        config.detect,
        [Detect {
            id: "test.fanout",
            enabled: false,
            severity: Some(Severity::Low),
            window: Some(2 * HOUR),
            settings: vec![
                ("limit", Setting::Count(7)),
                ("names", Setting::Names(vec!["a".into(), "b".into()])),
                ("share", Setting::Percent(5)),
                ("within", Setting::Span(10 * MINUTE)),
            ],
        }]
    );
    assert_eq!(config.key, emit::Key::configured(core::array::from_fn(|i| i as u8)));
    let [all, siem] = config.outputs.as_slice() else { panic!("{:?}", config.outputs) };
    assert_eq!((all.privacy.local_parts, all.lines.len(), all.format), (Mode::Hash, 5, None));
    assert_eq!(
        (siem.privacy, siem.lines.len(), siem.format),
        (Privacy::all(Mode::Drop), 2, Some(Format::Json))
    );
    assert_eq!(config.acks[0].until, Stamp::from_parts(1_795_392_000, 0));
}

#[test]
fn nothing_is_a_good_configuration() {
    let config = good("");
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

/// One fault a line: the text, and what is said of it.
#[test]
fn faults_have_their_place_and_the_nearest_key() {
    for (text, said) in [
        (
            "[captrue]\n",
            "x.toml:1:2: unknown key \"captrue\" in the file; did you mean \"capture\"?",
        ),
        (
            "[capture]\nprots = [25]\n",
            "x.toml:2:1: unknown key \"prots\" in [capture]; did you mean \"ports\"?",
        ),
        (
            "[capture]\nxyzzy = 1\n",
            "x.toml:2:1: unknown key \"xyzzy\" in [capture]; known: name, ports, workers, interfaces, method, interests, observe, ring, stats",
        ),
        (
            "[feeds]\nserver = 1\n",
            "x.toml:2:1: unknown key \"server\" in [feeds]; this version knows no keys there",
        ),
        (
            "[capture]\nports = 25\n",
            "x.toml:2:9: expected a list of ports such as [25, 587], found 25",
        ),
        (
            "[capture]\nports = []\n",
            "x.toml:2:9: expected at least one port, found a value of type array",
        ),
        (
            "[capture]\nports = [25, 70000]\n",
            "x.toml:2:14: expected a port from 1 to 65535, found 70000",
        ),
        (
            "[capture]\nname = \"a\\nb\"\n",
            "x.toml:2:8: expected a name of 1 to 200 bytes without control characters, found \"a\\nb\"",
        ),
        (
            "[network]\nwatched = [\"eth0\"]\n",
            "x.toml:2:12: \"eth0\" is neither an address nor a network (CIDR)",
        ),
        (
            "[hosts.\"192.0.2.0/24\"]\nrole = \"mtx\"\n",
            "x.toml:2:8: expected one of \"mta\", \"gateway\", \"bulk\", \"list\", \"forwarder\", \"hosting\", \"app\", \"monitor\", \"scanner\", \"unknown\", found \"mtx\"; did you mean \"mta\"?",
        ),
        (
            "[hosts.\"192.0.2.1\"]\n[hosts.\"192.0.2.1/32\"]\n",
            "x.toml:2:8: 192.0.2.1 has its section already, written in another way",
        ),
        (
            "[limits]\nflow = 1\n",
            "x.toml:2:1: unknown key \"flow\" in [limits]; did you mean \"flows\"?",
        ),
        (
            "[limits]\nflows = 0\n",
            "x.toml:2:9: expected a whole number from 1 to 4294967295, found 0",
        ),
        (
            "[limits]\nidle_timeout = 10\n",
            "x.toml:2:16: expected a span of time such as \"10m\" (us, ms, s, m, h, d), found 10",
        ),
        (
            "[limits]\nidle_timeout = \"0s\"\n",
            "x.toml:2:16: expected more than nothing, found \"0s\"",
        ),
        (
            "[limits]\nreorder_total = \"1 MB\"\n",
            "x.toml:2:17: expected a size such as \"64MiB\" (B, KiB, MiB, GiB), found \"1 MB\"",
        ),
        (
            "[detect.\"test.fanuot\"]\n",
            "x.toml:1:9: unknown detection \"test.fanuot\"; did you mean \"test.fanout\"?",
        ),
        ("[detect.\"x\"]\n", "x.toml:1:9: unknown detection \"x\"; `botlike rules` lists them"),
        (
            "[detect.test.fanout]\nlimit = 1\n",
            "x.toml:1:9: the id of a detection stands in quotation marks: [detect.\"test.fanout\"]",
        ),
        (
            "[detect.\"test.fanout\"]\nlimits = 1\n",
            "x.toml:2:1: unknown key \"limits\" in [detect.\"test.fanout\"]; did you mean \"limit\"?",
        ),
        (
            "[detect.\"test.fanout\"]\nshare = 101\n",
            "x.toml:2:9: expected a share in per cent, from 0 to 100, found 101",
        ),
        (
            "[privacy]\nkey = \"geheim\"\n",
            "x.toml:2:7: expected 32 hexadecimal digits in quotation marks",
        ),
        (
            "[output.a]\nlines = [\"findings\"]\n",
            "x.toml:2:10: expected one of \"session\", \"message\", \"finding\", \"stats\", \"sensor\", found \"findings\"; did you mean \"finding\"?",
        ),
        (
            "[[ack]]\nrule = \"test.fanout\"\n",
            "x.toml:1:1: an [[ack]] says rule, host, until and reason, all four",
        ),
        (
            "[[ack]]\nuntil = \"soon\"\n",
            "x.toml:2:9: expected a date such as 2027-03-01, found \"soon\"",
        ),
        ("capture = 1\n", "x.toml:1:11: expected a table of settings, found 1"),
    ] {
        assert_eq!(faults(text), [said], "{text}");
    }
}

#[test]
fn all_faults_are_told_in_order() {
    let found = faults("[capture]\nprots = 1\nname = 2\n[nonsense]\n[limits]\nflows = \"many\"\n");
    let places: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["x.toml:2:1", "x.toml:3:8", "x.toml:4:2", "x.toml:6:9"]);
    let syntax = faults("[capture]\nports = [25\nname = \"x\"\n[dsn]\n");
    assert!(syntax.len() >= 2, "{syntax:?}");
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        faults("[capture]\n\"é\" = 1\n# é\n[\"é\".x]\n")[0].split(": ").next(),
        Some("x.toml:2:1")
    );
    assert_eq!(
        faults("capture = { name = \"éé\", prots = 1 }\n"),
        ["x.toml:1:26: unknown key \"prots\" in [capture]; did you mean \"ports\"?"]
    );
}

#[test]
fn files_that_are_no_text_are_told_of() {
    let dir = std::env::temp_dir().join(format!("botlike-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let load = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        Config::load(&path, RULES)
            .map(|_| ())
            .map_err(|e| e.to_string().replace(&*dir.to_string_lossy(), ""))
    };
    assert_eq!(load("good", b"[capture]\n"), Ok(()));
    assert_eq!(
        load("bytes", b"[capture]\nname = \"\xff\"\n"),
        Err("/bytes:2:9: bytes that are not UTF-8".into())
    );
    assert_eq!(
        load("large", &[b'\n'; (1 << 20) + 1]),
        Err("/large: larger than 1 MiB: not a configuration".into())
    );
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(matches!(Config::load(&dir, RULES), Err(ConfigError::Unreadable(..))));
}

#[test]
fn hostile_files_are_errors_only() {
    for text in [
        "[".repeat(10_000),
        "a=".repeat(5000),
        "[[[[".into(),
        "a = [".repeat(5000),
        "\0\u{1}".into(),
    ] {
        assert!(!faults(&text).is_empty());
    }
}

#[test]
fn midnights_are_those_of_the_calendar() {
    for days in (0..80_000).step_by(17) {
        let (year, month, day) = emit::write::civil(days);
        assert_eq!(midnight(year, month, day).as_nanos(), days * 86_400 * SECOND);
    }
}
