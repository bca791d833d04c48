//! The list itself.

extern crate std;

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// What the catalogue says: id, severities of the levels, judged of watched hosts and of their clients, technique.
#[rustfmt::skip]
const CATALOGUE: &[(&str, &[Severity], Directions, &str)] = {
    use Severity::{High, Info, Low, Medium};
    const BOTH: Directions = Directions::all();
    const OUT: Directions = Directions::OUT;
    &[
        ("helo.bare_ip",             &[Low],          BOTH, ""),
        ("helo.literal_mismatch",    &[Medium],       BOTH, "T1036"),
        ("helo.literal_private",     &[Low],          BOTH, ""),
        ("helo.unqualified",         &[Medium, Low],  BOTH, ""), // inbound it is weak
        ("helo.localhost",           &[Medium],       BOTH, ""),
        ("helo.reserved_suffix",     &[Low],          BOTH, ""),
        ("helo.syntax_invalid",      &[Low, Low],     BOTH, ""), // an underscore weighs half
        ("helo.victim_name",         &[High, Medium, Medium], BOTH, "T1036"), // recipients' domains are weak
        ("helo.varies_per_ip",       &[High, Low],    BOTH, "T1584.005"), // weak at two names
        ("helo.dynamic_pattern",     &[Medium],       BOTH, "T1584.005"),
        ("helo.random_label",        &[High, Low],    BOTH, "T1568.002"), // weak from a gateway
        ("helo.known_bot",           &[High, Low],    BOTH, "T1110, T1584.005"), // all but one are weak
        ("helo.desktop_name",        &[Medium],       OUT,  ""),
        ("helo.changes_in_session",  &[Medium],       BOTH, ""),
        ("helo.missing",             &[Low],          BOTH, ""),
        ("session.pregreet",         &[High],         BOTH, "T1071.003"),
        ("session.unauthorised_pipelining", &[High],  BOTH, ""),
        ("session.ignores_rejection", &[High],        BOTH, ""),
        ("session.data_before_354",  &[High],         BOTH, ""),
        ("session.non_smtp_command", &[High, Low, Low], BOTH, "T1090, T1046"), // user agents try TLS
        ("session.no_quit",          &[Medium, Medium], BOTH, ""),
        ("session.rst_close",        &[Low],          BOTH, ""),
        ("session.hold_open",        &[Low, Low],     OUT,  "T1499"),
        ("session.helo_quit_loop",   &[High, Medium], BOTH, "T1595, T1110"),
        ("session.empty_connect",    &[Medium],       BOTH, "T1046"),
        ("session.concurrency",      &[Medium, Medium], BOTH, "T1499"),
        ("session.error_flood",      &[Medium],       BOTH, "T1499"),
        ("session.bare_newline",     &[Low],          BOTH, ""),
        ("session.smuggling_eod",    &[Medium, Info], BOTH, "T1672"), // nothing follows: a notice
        ("fanout.dst_ips",           &[High, Medium], OUT,  "T1496, T1071.003"),
        ("fanout.conn_rate",         &[Medium, Medium, Medium], OUT, "T1496"),
        ("fanout.syn_fail_ratio",    &[High],         OUT,  "T1046, T1496"),
        ("fanout.egress_blocked",    &[High, High, Low], OUT, "T1496, T1071.003"), // ours
        ("fanout.first_contact_ratio", &[Medium],     OUT,  ""),
        ("fanout.mx_query_nonmailer", &[High, Low],   OUT,  "T1071.003"), // asking alone proves little
        ("fanout.no_dns_before_connect", &[High],     OUT,  "T1071.003, T1573"),
        ("fanout.resolver_bypass",   &[Medium],       OUT,  "T1071.004"),
        ("fanout.port25_sweep",      &[High, High],   OUT,  "T1046, T1595.001"),
        ("reply.banner_refusal",     &[High, Medium], OUT,  ""), // medium where it may be busy
        ("dialect.ignores_starttls", &[Medium, Low],       OUT,  ""),
    ]
};

#[test]
fn agrees_with_the_catalogue() {
    assert_eq!(ALL.len(), CATALOGUE.len());
    for (entry, (id, severities, directions, attack)) in ALL.iter().zip(CATALOGUE) {
        let ours: Vec<_> = entry.levels.iter().map(|level| level.severity).collect();
        assert_eq!(
            (entry.id, ours.as_slice(), entry.directions, entry.attack),
            (*id, *severities, *directions, *attack)
        );
    }
}

#[test]
fn ids_are_unique_and_families_stand_together() {
    let mut ids = BTreeSet::new();
    let mut families: Vec<&str> = Vec::new();
    for entry in ALL {
        assert!(ids.insert(entry.id), "{} stands there twice", entry.id);
        let (family, name) = entry.id.split_once('.').unwrap();
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let plain = |s: &str| !s.is_empty() && s.bytes().all(is_plain);
        assert!(plain(family) && plain(name), "{}", entry.id);
        if families.last() != Some(&family) {
            assert!(!families.contains(&family), "{} stands apart from its family", entry.id);
            families.push(family);
        }
    }
}

#[test]
fn every_entry_in_a_file_is_in_the_list_under_the_name_of_the_file() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/detect");
    let list = include_str!("../mod.rs");
    let mut written = BTreeSet::new();
    // A family that has grown has a directory of its name.
    let list_of = |directory: &Path| -> Vec<_> {
        std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect()
    };
    let mut files: Vec<(String, _)> = Vec::new();
    for path in list_of(&directory) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            _ if matches!(stem.as_str(), "mod" | "tests") => {}
            true => files.extend(list_of(&path).into_iter().map(|file| (stem.clone(), file))),
            false => files.push((stem, path)),
        }
    }
    for (stem, path) in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices(": Entry = Entry {") {
            assert!(list.contains(&format!("\nmod {stem};\n")), "{stem}.rs has no line in mod.rs");
            let id = text[at..].split_once("id: \"").unwrap().1.split_once('"').unwrap().0;
            assert!(id.starts_with(&format!("{stem}.")), "{id} stands in {stem}.rs");
            assert!(written.insert(String::from(id)), "{id} is written twice");
        }
    }
    let listed: BTreeSet<_> = ALL.iter().map(|entry| String::from(entry.id)).collect();
    assert_eq!(written, listed);
}

#[test]
fn entries_are_complete() {
    for entry in ALL {
        let id = entry.id;
        for text in [entry.name, entry.what, entry.advice, entry.source] {
            assert!(
                text.len() > 3 && text == text.trim() && !text.contains("  "),
                "{id}: {text:?}"
            );
        }
        for (kind, text) in [("what", entry.what), ("advice", entry.advice)] {
            assert!(text.ends_with('.'), "{id}: {kind} is no sentence");
        }
        assert!(entry.rev > 0 && entry.window > 0 && !entry.needs.is_empty(), "{id}");
        assert!(!entry.directions.is_empty() && !entry.levels.is_empty(), "{id}");
        for technique in entry.attack.split(", ").filter(|_| !entry.attack.is_empty()) {
            let digits = technique.strip_prefix('T').unwrap();
            let (main, sub) = digits.split_once('.').unwrap_or((digits, "000"));
            let number = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
            assert!(number(main, 4) && number(sub, 3), "{id}: {technique}");
        }
        let mut names = BTreeSet::new();
        for level in entry.levels {
            assert!(names.insert(level.name), "{id}: two levels {}", level.name);
            assert!(!level.name.is_empty() && !level.when.is_empty(), "{id}");
        }
        let mut keys = BTreeSet::from(["enabled", "severity", "window"]);
        for setting in entry.settings {
            assert!(keys.insert(setting.key), "{id}: two settings {}", setting.key);
            assert!(!setting.key.is_empty() && setting.doc.ends_with('.'), "{id}.{}", setting.key);
        }
        if let Rule::Flow { sessions: Some(place), .. } = entry.rule {
            assert!(matches!(entry.settings[place].default, Value::Count(1..)), "{id}");
        }
    }
}

#[test]
fn words_of_a_level_name_only_settings_that_there_are() {
    for entry in ALL {
        for level in entry.levels {
            for word in level.when.split('`').skip(1).step_by(2) {
                assert!(entry.settings.iter().any(|s| s.key == word), "{}: {word}", entry.id);
            }
        }
    }
}
