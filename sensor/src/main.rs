//! The `botlike` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    botlike::cli::main(std::env::args_os())
}
