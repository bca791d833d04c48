//! What a machine does not have is skipped, and said.

use std::io::Write;

/// What may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The public captures.
    Captures,
    /// `tshark`.
    Tshark,
    /// Mail servers.
    Mta,
    /// A kernel that allows what the test needs.
    Kernel,
    /// A machine to install packages on, and the package.
    Package,
}

impl Kind {
    /// As `cargo xtask test --require` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Captures => "captures",
            Self::Tshark => "tshark",
            Self::Mta => "mta",
            Self::Kernel => "kernel",
            Self::Package => "package",
        }
    }
}

/// Says that a test, or a part of one, does not run, and why.
pub fn skip(kind: Kind, test: &str, why: &str) {
    say(&format!("skipped: {}: {test}: {why}\n", kind.name()));
}

/// Says that a test had what it needs.
pub fn ran(kind: Kind, test: &str) {
    say(&format!("ran: {}: {test}\n", kind.name()));
}

/// Prints a line and appends it to the file that `BOTLIKE_SKIPS` names, so that whoever runs the tests can count, list or
/// refuse what was skipped.
fn say(line: &str) {
    print!("{line}");
    if let Some(path) = std::env::var_os("BOTLIKE_SKIPS") {
        // One write of a short line: tests that append at the same time do not tear each other's lines.
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            panic!("{}: {error}", path.display());
        }
    }
}
