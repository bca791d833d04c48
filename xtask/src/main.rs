//! `cargo xtask …`: what the project does with itself.
//!
//! It compiles in seconds and needs nothing but Rust: whatever a task needs besides, the task looks for first, gets where
//! it may, or names in one line. It changes nothing outside of the target directory, with one exception: `libpcap-dev`
//! (and a C compiler; for packages musl's) are installed with apt where that is possible, because building the program
//! needs them.

mod bench;
mod demo;
mod dist;
mod fidelity;
mod floors;
mod pages;
mod probe;
mod run;
mod setup;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo                     bots and honest senders in a laboratory, watched live: who is found for what
  test [OPTIONS]           tidy, then all tests; the last line counts them
      --require KIND,…     tests of this kind (captures, kernel, mta, package, tshark) may not be skipped
      --no-tidy            tests only
  tidy [--fix]             floors, formatting, clippy, stale pages, hygiene, cargo deny where it is installed
  pages                    write the generated pages anew
  probe [--check]          build the kernel probe that is committed; or build it and compare (needs rustup, nightly)
  bench [OPTIONS] [NAME…]  make the captures once, measure botlike and its peers, write docs/BENCHMARKS.md
      --rounds N           rounds (5)
      --quick              small captures, one round, nothing written under docs/
  bench live [OPTIONS]     what watching costs a mail host, beside no sensor and tcpdump, for docs/BENCHMARKS.md
      --rounds N           rounds (12)
      --seed N             the order of the rounds (of the clock)
      --botlike FILE       this program instead of one that is built
      --quick              a look in two minutes, nothing written under docs/
  bench captures           only make the captures
  bench flows              what a tracked flow costs, for docs/BENCHMARKS.md
  bench damage             lossy, SYN-less and one-sided copies compared with tshark, for docs/DAMAGE.md
  dist [OPTIONS]           a static binary, a Debian package and an RPM of it, into target/dist
      --dev                the development profile, no RPM: quick, for trying the package
      --maintainer WHO     \"NAME <ADDRESS>\" of who answers for the packages
  fidelity [--check]       what botlike and tshark read in the public captures, compared, for docs/FIDELITY.md
  tools NAME…              unpack tcpdump, tshark, smtp-source … under the target directory, and print where";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> Result<ExitCode> {
    match args {
        ["demo"] => demo::main(),
        ["test", rest @ ..] => test::main(rest),
        ["tidy"] => tidy::main(false),
        ["tidy", "--fix"] => tidy::main(true),
        ["pages"] => pages::write_all().map(|()| ExitCode::SUCCESS),
        ["probe", rest @ ..] => probe::main(rest),
        ["bench", rest @ ..] => bench::main(rest),
        ["dist", rest @ ..] => dist::main(rest),
        ["fidelity", rest @ ..] => fidelity::main(rest),
        ["tools", names @ ..] if !names.is_empty() => tools::main(names),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("I do not know {:?}\n{USAGE}", args.join(" ")),
    }
}
