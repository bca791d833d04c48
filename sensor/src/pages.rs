//! The generated pages of the manual: what is committed is what the program says today.
//!
//! `cargo xtask pages` sets `BOTLIKE_PAGES=write`: then they are written anew instead.

use std::path::Path;
use std::{env, fs};

use crate::config::keys;
use crate::emit::schema;
use crate::rules::ALL;

fn page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    if env::var_os("BOTLIKE_PAGES").is_some_and(|word| word == "write") {
        fs::write(&path, text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).find(|(old, new)| old != new);
    assert!(
        committed == text,
        "{name} is stale, `cargo xtask pages` writes it anew; first difference: {differs:?}"
    );
}

#[test]
fn fields() {
    page("docs/FIELDS.md", &schema::manual());
}

#[test]
fn configuration() {
    page("docs/CONFIGURATION.md", &keys::manual(ALL));
}

#[test]
fn index_template() {
    page("deploy/elasticsearch/index-template.json", &schema::index_template());
}
