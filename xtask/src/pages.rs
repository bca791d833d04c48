//! The pages that are generated from the program, so that they cannot tell anything else than it does.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// A page of the tree and the arguments with which the program prints it.
struct Page {
    path: &'static str,
    botlike: &'static [&'static str],
}

/// All of them. Pages made by measuring (`docs/BENCHMARKS.md`, `docs/DAMAGE.md`, `docs/FIDELITY.md`) are not among them:
/// they tell of a run, and are as old as it.
const PAGES: &[Page] = &[];

/// Writes every page anew.
pub(crate) fn write_all() -> Result<()> {
    for (page, text) in generated()? {
        let path = run::root().join(page.path);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", page.path);
    }
    Ok(())
}

/// The pages whose text is not what the program prints today.
pub(crate) fn stale() -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for (page, text) in generated()? {
        if std::fs::read_to_string(run::root().join(page.path)).ok().as_deref() != Some(&text) {
            stale.push(format!("{}: stale; `cargo xtask pages` writes it anew", page.path));
        }
    }
    Ok(stale)
}

fn generated() -> Result<Vec<(&'static Page, String)>> {
    if PAGES.is_empty() {
        return Ok(Vec::new());
    }
    let program = run::debug_botlike()?;
    PAGES
        .iter()
        .map(|page| Ok((page, run::output(Command::new(&program).args(page.botlike))?)))
        .collect()
}
