//! `cargo xtask test`: tidy, all tests, and a summary of what ran and what was skipped.
//!
//! A test that needs more than Rust says so in the file that the variable `BOTLIKE_SKIPS` names: one appended line,
//! `ran: KIND: TEST` where it had what it needs, or else `skipped: KIND: TEST: WHY`, once for a test. Without the
//! variable it only prints the line. `KIND` is what it needs: `kernel`, `mta`, `captures`, `package`, `tshark`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::{dist, run, setup, tidy, tools};

/// What `--require` may name.
const KINDS: [&str; 5] = ["captures", "kernel", "mta", "package", "tshark"];

pub(crate) fn main(args: &[&str]) -> Result<ExitCode> {
    let mut required: Vec<String> = Vec::new();
    let mut with_tidy = true;
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        match arg {
            "--require" => {
                let kinds = args.next().context("--require needs kinds, e.g. kernel,captures")?;
                required
                    .extend(kinds.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned));
            }
            "--no-tidy" => with_tidy = false,
            _ => bail!("test does not know {arg:?}"),
        }
    }
    if let Some(kind) = required.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        bail!("no tests are of the kind {kind:?}; there are {}", KINDS.join(", "));
    }

    setup::build_libraries()?;
    let untidy = if with_tidy { tidy::failures(false) } else { Vec::new() };
    let (counts, notices) = cargo_test(&required)?;
    let skipped_but_required =
        notices.skipped.iter().filter(|skip| required.contains(&skip.kind)).count();

    println!();
    if with_tidy {
        println!(
            "tidy: {}",
            if untidy.is_empty() {
                "ok".to_owned()
            } else {
                format!("failed: {}", untidy.join(", "))
            }
        );
    }
    println!(
        "tests: {} passed, {} failed in {} programs",
        counts.passed, counts.failed, counts.programs
    );
    notices.print(&required);

    // A test that was skipped passed for cargo; here it counts as what it was.
    let skipped = notices.skipped.len();
    let failed = counts.failed + untidy.len() + skipped_but_required;
    println!(
        "{} passed, {failed} failed, {} skipped",
        counts.passed.saturating_sub(skipped),
        skipped - skipped_but_required
    );
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default, Debug, PartialEq)]
struct Counts {
    passed: usize,
    failed: usize,
    programs: usize,
}

impl Counts {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`; other lines change nothing.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        self.programs += 1;
        for part in rest.split([';', '.']) {
            match part.split_whitespace().collect::<Vec<_>>()[..] {
                [count, "passed"] => self.passed += count.parse().unwrap_or(0),
                [count, "failed"] => self.failed += count.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// A test that had not what it needs.
#[derive(Debug, PartialEq)]
struct Skip {
    kind: String,
    why: String,
}

/// What the tests wrote about what they need.
#[derive(Default, Debug, PartialEq)]
struct Notices {
    ran: BTreeMap<String, usize>,
    skipped: Vec<Skip>,
}

impl Notices {
    fn parse(text: &str) -> Self {
        let mut notices = Self::default();
        for line in text.lines() {
            match line.splitn(4, ": ").collect::<Vec<_>>()[..] {
                ["ran", kind, ..] => *notices.ran.entry(kind.to_owned()).or_default() += 1,
                ["skipped", kind, ref rest @ ..] => {
                    notices.skipped.push(Skip { kind: kind.to_owned(), why: rest.join(": ") });
                }
                _ => {}
            }
        }
        notices
    }

    fn print(&self, required: &[String]) {
        let mut kinds: Vec<&str> = KINDS.to_vec();
        kinds.extend(
            self.ran.keys().chain(self.skipped.iter().map(|skip| &skip.kind)).map(String::as_str),
        );
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let skips: Vec<_> = self.skipped.iter().filter(|skip| skip.kind == kind).collect();
            let ran = self.ran.get(kind).copied().unwrap_or(0);
            let needed = if required.iter().any(|one| one == kind) { " (required)" } else { "" };
            println!("  {kind}{needed}: {ran} ran, {} skipped", skips.len());
            for skip in skips {
                println!("    {}", skip.why);
            }
        }
    }
}

fn cargo_test(required: &[String]) -> Result<(Counts, Notices)> {
    let notes = run::target().join("skips.txt");
    if let Some(folder) = notes.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&notes, "").with_context(|| format!("cannot write {}", notes.display()))?;

    let mut command = run::cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .env("BOTLIKE_SKIPS", &notes)
        .env("PATH", tools::path()?);
    // Only root can install it on a machine of its own; everybody else is told by the test.
    if run::is_root() {
        match dist::for_tests() {
            Ok(package) => drop(command.env("BOTLIKE_PACKAGE", package)),
            Err(error) => eprintln!("xtask: no package to test: {error:#}"),
        }
    }
    if required.iter().any(|kind| kind == "tshark") && run::which("tshark").is_none() {
        tools::unpack(&["tshark"])?;
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let mut counts = Counts::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            counts.add(&line);
        }
    }
    // What did not even compile, or died, has no line of results.
    if !child.wait()?.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok((counts, Notices::parse(&std::fs::read_to_string(&notes)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_summed() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        counts.add("test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.05s");
        assert_eq!(counts, Counts { passed: 13, failed: 2, programs: 2 });
    }

    #[test]
    fn notices_are_read_by_kind() {
        let notices = Notices::parse(
            "ran: captures: all_of_them\nskipped: kernel: probe: not root: uid 5\nnoise\n",
        );
        assert_eq!(notices.ran, BTreeMap::from([("captures".to_owned(), 1)]));
        assert_eq!(
            notices.skipped,
            [Skip { kind: "kernel".to_owned(), why: "probe: not root: uid 5".to_owned() }]
        );
    }
}
