//! `lab run FOLDER SENSOR…`: plays the laboratory of bots once with a sensor (`botlike watch`), leaves its lines in the
//! folder and says in the end who was found for what.
//!
//! Exit codes: 0 all as it should be, 1 a bot was missed or somebody honest accused, 2 something broke, 3 this machine
//! does not grant what it needs.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    botlike_tests::lab::program::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("lab: it needs Linux");
    ExitCode::from(3)
}
