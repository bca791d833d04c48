//! The licences of what is linked into the program: their texts and notices have to go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// What a file with a licence or notice is called.
const NAMES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// Who belongs to the program, under which terms, and every distinct text once.
pub(super) fn notices(target: &str) -> Result<String> {
    let linked = linked(target)?;
    let metadata =
        run::output(run::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let mut list = String::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = format!("{} {}", text("name"), text("version"));
        // What has no source is the project's own.
        if !linked.contains(&name) || package["source"].is_null() {
            continue;
        }
        let _ = writeln!(list, "  {name}: {}", text("license"));
        let folder = Path::new(text("manifest_path")).parent().unwrap_or(Path::new("/"));
        for file in files(folder) {
            let bytes = std::fs::read(&file)?;
            let said = String::from_utf8_lossy(&bytes).trim().to_owned();
            texts.entry(said).or_default().insert(name.clone());
        }
    }
    let mut out = format!(
        "botlike is linked statically with these libraries:\n\n{list}  \
         the Rust standard library: MIT OR Apache-2.0, copyright The Rust Project Developers\n  \
         musl: MIT, copyright 2005-2020 Rich Felker, et al.\n"
    );
    for (text, names) in texts {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let _ = write!(out, "\n{}\n{}:\n\n{text}\n", "-".repeat(80), names.join(", "));
    }
    Ok(out)
}

/// Name and version of every package that is linked.
fn linked(target: &str) -> Result<BTreeSet<String>> {
    let tree = run::output(run::cargo().args([
        "tree",
        "--locked",
        "--package",
        "botlike",
        "--no-default-features",
        "--target",
        target,
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    Ok(tree.lines().filter_map(named).collect())
}

/// `name v1.2.3 (…)` as `name 1.2.3`.
fn named(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    Some(format!("{name} {}", version.strip_prefix('v')?))
}

/// Files with licences in a package's folder and one below (a library in C brings its own).
fn files(folder: &Path) -> Vec<PathBuf> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut all = inside(folder);
    let below: Vec<PathBuf> =
        all.iter().filter(|path| path.is_dir()).flat_map(|path| inside(path)).collect();
    all.extend(below);
    all.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let code = path.extension().is_some_and(|kind| kind == "rs" || kind == "c" || kind == "h");
        path.is_file() && !code && NAMES.iter().any(|start| name.starts_with(start))
    });
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_a_package() {
        assert_eq!(named("zstd-sys v2.0.16+zstd.1.5.7").unwrap(), "zstd-sys 2.0.16+zstd.1.5.7");
        assert_eq!(named("botlike v0.1.0 (/somewhere) (*)").unwrap(), "botlike 0.1.0");
        assert_eq!(named(""), None);
    }
}
