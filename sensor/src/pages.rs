//! Pages of the manual that are made from the code: the test fails when one is stale. With `BOTLIKE_PAGES=write` in the
//! environment it writes them.

use std::path::Path;
use std::{env, fs};

use crate::config::keys;
use crate::emit::schema;
use crate::rules;

#[test]
fn generated_pages_are_fresh() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, text) in
        [("FIELDS.md", schema::manual()), ("CONFIGURATION.md", keys::manual(rules::ALL))]
    {
        let path = docs.join(name);
        if env::var_os("BOTLIKE_PAGES").is_some_and(|v| v == "write") {
            fs::create_dir_all(&docs).unwrap();
            fs::write(&path, text).unwrap();
        } else {
            let stored = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                stored == text,
                "docs/{name} is stale: BOTLIKE_PAGES=write cargo test -p botlike pages"
            );
        }
    }
}
