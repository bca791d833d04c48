//! The program `botlike` as people and scripts meet it: arguments and captures in; lines, messages and exit codes out.

mod commands;
mod faults;
mod hostile;
mod kit;
#[allow(dead_code)]
#[path = "../../src/source/tests/made.rs"]
mod made;
mod packaged;
mod read;
