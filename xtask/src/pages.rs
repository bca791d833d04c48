//! The pages that are generated from the program, so that they cannot tell anything else than it does.
//!
//! Each lies beside the code that it tells of, and a test there compares it with the tree; with `BOTLIKE_PAGES=write` in
//! the environment that test writes the page instead. Pages made by measuring (`docs/BENCHMARKS.md`, `docs/DAMAGE.md`) are
//! not among them: they tell of a run, and are as old as it.

use anyhow::{Context, Result};

use crate::{run, setup};

/// The tests that hold generated pages: package, target, and what their names begin with.
const GENERATORS: &[(&str, &str, &str)] = &[("botlike", "--lib", "pages::")];

/// Writes every page anew.
pub(crate) fn write_all() -> Result<()> {
    each("write")
}

/// An error where a page is not what the program says today.
pub(crate) fn check() -> Result<()> {
    each("check").context("stale pages; `cargo xtask pages` writes them anew")
}

fn each(mode: &str) -> Result<()> {
    setup::build_libraries()?;
    for (package, target, tests) in GENERATORS {
        let mut command = run::cargo();
        command
            .args(["test", "--quiet", "--package", package, target, "--", tests])
            .env("BOTLIKE_PAGES", mode);
        run::output(&mut command)?;
    }
    Ok(())
}
