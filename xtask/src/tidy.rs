//! `cargo xtask tidy`: what can be checked without running the program's tests.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::{floors, pages, probe, run, setup};

pub(crate) fn main(fix: bool) -> Result<ExitCode> {
    setup::build_libraries()?;
    let failed = failures(fix);
    println!(
        "tidy: {}",
        if failed.is_empty() { "ok".to_owned() } else { format!("failed: {}", failed.join(", ")) }
    );
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every check and returns the names of those that failed; each has said why on standard error.
pub(crate) fn failures(fix: bool) -> Vec<&'static str> {
    let checks: [(&str, &dyn Fn() -> Result<()>); 7] = [
        ("floors", &|| list(floors::violations(&run::root())?)),
        ("hygiene", &|| list(hygiene()?)),
        ("probe", &probe::fresh),
        ("formatting", &|| formatting(fix)),
        ("clippy", &clippy),
        ("pages", &|| if fix { pages::write_all() } else { pages::check() }),
        ("cargo deny", &deny),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("tidy: {name}");
        if let Err(error) = check() {
            eprintln!("tidy: {name} failed: {error:#}");
            failed.push(name);
        }
    }
    failed
}

fn list(found: Vec<String>) -> Result<()> {
    if found.is_empty() { Ok(()) } else { bail!("\n  {}", found.join("\n  ")) }
}

fn formatting(fix: bool) -> Result<()> {
    let mut command = run::cargo();
    command.args(["fmt", "--all"]);
    if !fix {
        command.args(["--", "--check"]);
    }
    run::run(&mut command)
}

fn clippy() -> Result<()> {
    let deny = ["--", "-D", "warnings"];
    run::run(run::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets"]).args(deny))?;
    run::run(
        run::cargo()
            .args(["clippy", "--quiet", "--package", "botlike", "--no-default-features"])
            .args(deny),
    )
}

/// Licences, sources and doubles of the dependencies. Advisories are left out: their database is not a package of a
/// registry, and whether a build is tidy must not depend on the day.
fn deny() -> Result<()> {
    if !run::succeeds(Command::new("cargo-deny").arg("--version")) {
        eprintln!("tidy: cargo deny is not installed: not checked");
        return Ok(());
    }
    run::run(run::cargo().args([
        "deny",
        "--workspace",
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Bytes that a file of the tree may have.
const LARGEST: u64 = 400 << 10;

/// What no file of the tree may have in it. Written in two halves, so that this one has not.
fn forbidden() -> Vec<(String, &'static str)> {
    let in_rust = [
        ("todo", "!("),
        ("unimplemented", "!("),
        ("dbg", "!("),
        ("#[ig", "nore"),
        ("FIX", "ME"),
        ("TO", "DO"),
    ];
    let anywhere = [("/work", "/"), ("/root", "/"), ("/tmp/", "wt")];
    let join = |halves: &[(&str, &str)], kind| {
        halves.iter().map(|(a, b)| (format!("{a}{b}"), kind)).collect::<Vec<_>>()
    };
    [join(&in_rust, ".rs"), join(&anywhere, "")].concat()
}

/// Leftovers, paths of one machine, large files, stray blanks.
fn hygiene() -> Result<Vec<String>> {
    let root = run::root();
    let files = run::output(
        Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(["ls-files", "-z", "--cached", "--others"])
            .arg("--exclude-standard"),
    )?;
    let forbidden = forbidden();
    let mut found = Vec::new();
    for name in files.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        if !meta.is_file() {
            continue;
        }
        if meta.len() > LARGEST && name != "Cargo.lock" {
            found.push(format!(
                "{name}: {} bytes; a file of the tree has at most {LARGEST}",
                meta.len()
            ));
        }
        // A file that is not text (a small capture) has no lines to look at.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (word, kind) in &forbidden {
                if name.ends_with(kind) && line.contains(word.as_str()) {
                    found.push(format!("{name}:{}: has {word:?}", number + 1));
                }
            }
            if [".rs", ".toml", ".md"].iter().any(|kind| name.ends_with(kind))
                && line.ends_with([' ', '\t'])
            {
                found.push(format!("{name}:{}: blanks at the end of the line", number + 1));
            }
        }
        if [".rs", ".toml", ".md"].iter().any(|kind| name.ends_with(kind))
            && !text.is_empty()
            && !text.ends_with('\n')
        {
            found.push(format!("{name}: no newline at the end"));
        }
    }
    Ok(found)
}
