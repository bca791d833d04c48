//! The floors of `botlike-core`: a module uses only lower ones.
//!
//! Reads the sources as text, which is enough for the way modules are named in them: `crate::NAME`, `crate::{NAME, …}`,
//! and a chain of `super::` that climbs to the top. Comments, and so links in documentation, may name anything.

use std::path::Path;

use anyhow::{Context, Result};

/// The table of `ARCHITECTURE.md`, in its order.
pub(crate) const FLOORS: &[(u32, &[&str])] = &[
    (0, &["base"]),
    (1, &["wire"]),
    (2, &["stream"]),
    (3, &["smtp", "dns"]),
    (4, &["mail"]),
    (5, &["detect"]),
    (7, &["tracker", "judge"]),
];

/// Beyond lower floors: the judge takes what the tracker gives (facts and their keys), never the other way round.
const NEIGHBOURS: &[(&str, &str)] = &[("judge", "tracker")];

/// Every line that breaks the order of the floors, and every difference between the table above, the one in
/// `ARCHITECTURE.md`, and the modules that there are.
pub(crate) fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md"))
        .context("cannot read ARCHITECTURE.md")?;
    let written = table(&page);
    let built: Vec<_> = FLOORS
        .iter()
        .map(|(floor, names)| (*floor, names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()))
        .collect();
    if written != built {
        found.push(format!(
            "ARCHITECTURE.md: its table of floors is {written:?}, the one of xtask {built:?}"
        ));
    }

    let source = root.join("sensor/core/src");
    let mut files = Vec::new();
    collect(&source, &mut files)?;
    files.sort();
    for file in files {
        let Ok(inside) = file.strip_prefix(&source) else { continue };
        let path = inside.with_extension("");
        let mut modules: Vec<_> =
            path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        modules.pop_if(|last| last == "mod");
        let Some(own) = modules.first().cloned().filter(|own| own != "lib") else { continue };
        let text = std::fs::read_to_string(&file)?;
        if floor(&own).is_none() {
            found.push(format!(
                "sensor/core/src/{}: module `{own}` stands on no floor",
                inside.display()
            ));
            continue;
        }
        for (line, used) in uses(&text, modules.len()) {
            if used != own && !may_use(&own, &used) {
                let place = inside.display();
                found.push(format!("sensor/core/src/{place}:{line}: `{own}` uses `{used}`, which is not on a lower floor"));
            }
        }
    }
    Ok(found)
}

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(_, names)| names.contains(&module)).map(|(floor, _)| *floor)
}

fn may_use(own: &str, used: &str) -> bool {
    NEIGHBOURS.contains(&(own, used))
        || matches!((floor(own), floor(used)), (Some(own), Some(used)) if used < own)
}

/// Rows such as ``| 3 | `smtp`, `dns` | … |``.
fn table(page: &str) -> Vec<(u32, Vec<String>)> {
    let mut rows = Vec::new();
    for line in page.lines() {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let (Some(Ok(floor)), Some(names)) = (cells.next().map(str::parse), cells.next()) else {
            continue;
        };
        rows.push((
            floor,
            names.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect(),
        ));
    }
    rows
}

/// The top-level modules that a file at this depth names, each with its line.
fn uses(text: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: String = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });
    let line_of = |at: usize| code.get(..at).unwrap_or("").matches('\n').count() + 1;
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` in a macro is this crate too; `other_crate::` is not.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        found.extend(heads(rest).into_iter().map(|head| (line_of(at), head)));
    }
    for (at, _) in code.match_indices("super::") {
        let before = &code[..at];
        if before.ends_with("super::")
            || before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let chain = &code[at..];
        let rest = chain.trim_start_matches("super::");
        let climbs = (chain.len() - rest.len()) / "super::".len();
        // Inside of an inline module (tests) the last step ends in the file's own module, whose names are not floors'.
        if climbs >= depth {
            let tops = heads(rest).into_iter().filter(|head| floor(head).is_some());
            found.extend(tops.map(|head| (line_of(at), head)));
        }
    }
    found
}

/// The first names of what follows `crate::`: one, or those of the outermost braces.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                heads.push(name(&group[start..at]));
                start = at + 1;
            }
            '}' if depth == 0 => {
                heads.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floors_hold() {
        assert_eq!(violations(&crate::run::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn every_way_of_naming_a_module_is_seen() {
        let names = |text: &str, depth| {
            uses(text, depth).into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(names("use crate::judge::Judge;", 1), ["judge"]);
        assert_eq!(
            names("use crate::{base, smtp::{Session, facts::X}, wire::Segment};", 1),
            ["base", "smtp", "wire"]
        );
        assert_eq!(names("use crate::{\n    base::Stamp,\n    judge,\n};", 1), ["base", "judge"]);
        assert_eq!(names("fn f(x: crate::detect::Hit) {}", 1), ["detect"]);
        assert_eq!(names("use super::judge;", 1), ["judge"]);
        assert_eq!(names("use super::super::judge;", 2), ["judge"]);
        assert_eq!(names("use super::line::Line; mod tests { use super::*; }", 2), [""; 0]);
        assert_eq!(names("// use crate::judge;\n/// See [`crate::judge`].", 1), [""; 0]);
        assert_eq!(names("use my_crate::judge;", 1), [""; 0]);
        assert_eq!(uses("\n\nuse crate::base;", 1), [(3, "base".to_owned())]);
    }

    #[test]
    fn only_down() {
        assert!(may_use("smtp", "base"));
        assert!(may_use("judge", "tracker"));
        assert!(!may_use("tracker", "judge"));
        assert!(!may_use("base", "wire"));
        assert!(!may_use("judge", "no_such_module"));
    }
}
