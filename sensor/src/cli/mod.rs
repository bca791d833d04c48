//! What people type: arguments in, exit code out.
//!
//! Exit codes: 0 done, 1 the run failed, 2 wrong usage, 3 `--fail-on` and a finding of that severity or above was made.
//! Lines and what was asked for go to standard output, all else to standard error.

mod rules;
#[cfg(target_os = "linux")]
mod watch;

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use botlike_core::detect::Severity;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::config::{Config, ConfigError, Format, keys};
use crate::emit::schema;
use crate::rules::ALL;
use crate::run::{self, Destination, ReadOptions};

/// Exit code: the run failed.
const FAILED: u8 = 1;
/// Exit code: wrong usage.
const USAGE: u8 = 2;
/// Exit code: `--fail-on` and such a finding.
const FOUND: u8 = 3;

/// Tells whether a sender of mail looks like a bot, by what its SMTP connections show
///
/// botlike reads SMTP traffic and tells what it shows: sessions, messages, and findings with their evidence. It watches
/// only: it never blocks, probes or asks anybody anything.
#[derive(Debug, Parser)]
#[command(name = "botlike", version, after_help = AFTER, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Exit codes: 0 done; 1 the run failed; 2 wrong usage; 3 a finding that --fail-on asks about

Examples:
  botlike read traffic.pcap
      what happened, one readable line per event
  botlike read --format json *.pcapng.gz | jq .
      the same for programs, files merged by time
  botlike watch
      what happens on this machine's interfaces, as it happens
  tcpdump -w - tcp port 25 | botlike read -
      the same of another machine, while it is captured there
  botlike explain helo.bare_ip
      what a finding means and what to do";

#[derive(Debug, Subcommand)]
enum Command {
    /// Read captures and tell what happened in them
    ///
    /// Reads pcap and pcapng, also compressed with gzip or zstd. Several captures are merged by time. Lines appear while
    /// it reads: one readable line per event on a terminal, JSON lines otherwise. The same captures give the same bytes,
    /// on every machine and for any number of workers.
    Read(Box<Read>),
    /// Watch this machine's interfaces and tell what happens there
    ///
    /// Takes packets by eBPF where the kernel allows it, else by AF_PACKET or libpcap, and says which and why. It never
    /// blocks, delays or answers anything. INT and TERM end it in order, HUP opens its files again.
    #[cfg(target_os = "linux")]
    Watch(Box<watch::Watch>),
    /// Say whether a configuration file is right
    ///
    /// Prints "ok", or every error with line, column and the nearest key, and ends with 1.
    Check {
        /// The configuration file
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// List the detections
    Rules {
        /// How to list them
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Explain a detection: what it sees, what that means, what to do, what can be set
    Explain {
        /// Its id, e.g. helo.bare_ip
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Print the schema of the lines
    Schema {
        /// As what
        #[arg(long, value_enum, default_value_t)]
        format: SchemaFormat,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a directory
    Man {
        /// Where to write them
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
        /// Print this chapter in Markdown instead
        #[arg(long, value_enum, conflicts_with = "dir")]
        chapter: Option<Chapter>,
    },
}

/// Chapters of the manual that are made from the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chapter {
    /// Every key of the lines
    Fields,
    /// Every key of the configuration
    Configuration,
}

/// As what `schema` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SchemaFormat {
    /// A JSON Schema, draft 2020-12
    #[default]
    JsonSchema,
    /// An index template for Elasticsearch and OpenSearch
    IndexTemplate,
}

/// How `rules` lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A table for people
    #[default]
    Table,
    /// A JSON array
    Json,
}

#[derive(Debug, Args)]
struct Read {
    /// Captures; "-" is standard input
    #[arg(value_name = "CAPTURE", required = true, value_hint = ValueHint::FilePath)]
    captures: Vec<PathBuf>,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Server ports to follow, separated by commas [default: 25, or what the configuration says]
    #[arg(long, value_name = "PORTS", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// How lines look [default: pretty on a terminal, json otherwise]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Write lines to this file, made anew, instead of standard output or what the configuration says
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Worker threads; the lines do not depend on it [default: 1, or what the configuration says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// End with 3 when a finding of this severity or above was made
    #[arg(long, value_name = "SEVERITY", value_parser = severities())]
    fail_on: Option<Severity>,
    /// Pass over packets that do not match this filter expression (pcap-filter(7)), e.g. "host 192.0.2.1"
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Show no progress bar
    #[arg(long)]
    no_progress: bool,
    /// Tell more on standard error
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["pretty", "json"])
        .map(|word| if word == "json" { Format::Json } else { Format::Pretty })
}

fn severities() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(Severity::ALL.map(Severity::name))
        .try_map(|word| Severity::from_name(&word).ok_or("not a severity"))
}

/// Does what the arguments (the program's name first) ask.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => ExitCode::from(command(cli.command)),
        Err(error) => {
            // Help and version are not errors; both are printed where they belong.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
        }
    }
}

fn command(command: Command) -> u8 {
    match command {
        Command::Read(options) => read(*options),
        #[cfg(target_os = "linux")]
        Command::Watch(options) => watch::main(*options),
        Command::Check { config } => match Config::load(&config, ALL) {
            Ok(_) => print("ok\n"),
            Err(error) => wrong(&error),
        },
        Command::Rules { format: ListFormat::Table } => print(&rules::table(ALL)),
        Command::Rules { format: ListFormat::Json } => print(&rules::json(ALL)),
        Command::Explain { id } => match rules::explain(ALL, &id) {
            Ok(text) => print(&text),
            Err(message) => complain(message),
        },
        Command::Schema { format: SchemaFormat::JsonSchema } => print(&schema::json_schema()),
        Command::Schema { format: SchemaFormat::IndexTemplate } => print(&schema::index_template()),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "botlike", &mut out);
            print(&String::from_utf8_lossy(&out))
        }
        Command::Man { chapter: Some(Chapter::Fields), .. } => print(&schema::manual()),
        Command::Man { chapter: Some(Chapter::Configuration), .. } => print(&keys::manual(ALL)),
        Command::Man { dir: None, .. } => {
            let mut out = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut out) {
                Ok(()) => print(&String::from_utf8_lossy(&out)),
                Err(error) => complain(error),
            }
        }
        Command::Man { dir: Some(dir), .. } => match clap_mangen::generate_to(Cli::command(), &dir)
        {
            Ok(()) => 0,
            Err(error) => complain(format!("{}: {error}", dir.display())),
        },
    }
}

fn read(arguments: Read) -> u8 {
    let fail_on = arguments.fail_on;
    let options = match options(arguments) {
        Ok(options) => options,
        Err(error) => return wrong(&error),
    };
    match run::read(&options) {
        Ok(outcome) if outcome.failed => FAILED,
        Ok(outcome) if fail_on.is_some() && outcome.worst >= fail_on => FOUND,
        Ok(_) => 0,
        Err(error) => complain(error),
    }
}

/// What was typed, as meant.
fn options(arguments: Read) -> Result<ReadOptions, ConfigError> {
    let config = configured(arguments.config.as_deref(), arguments.ports, arguments.workers)?;
    let terminal = io::stdout().is_terminal();
    let lines_on_terminal = terminal
        && match &arguments.output {
            Some(path) => path.as_os_str() == "-",
            None => config.outputs.is_empty() || config.outputs.iter().any(|o| o.file.is_none()),
        };
    Ok(ReadOptions {
        captures: arguments.captures,
        config,
        lines: destination(arguments.output, arguments.format),
        filter: arguments.filter,
        // A bar among lines helps nobody.
        progress: !arguments.no_progress && io::stderr().is_terminal() && !lines_on_terminal,
        verbose: arguments.verbose,
    })
}

/// The configuration, with what the command line says before it.
fn configured(
    file: Option<&Path>,
    ports: Vec<u16>,
    workers: Option<u16>,
) -> Result<Config, ConfigError> {
    let mut config = match file {
        Some(path) => Config::load(path, ALL)?,
        None => Config::default(),
    };
    if !ports.is_empty() {
        config.ports = ports;
        config.ports.sort_unstable();
        config.ports.dedup();
    }
    if let Some(workers) = workers {
        config.workers = usize::from(workers);
    }
    Ok(config)
}

/// Where lines go, as asked.
fn destination(output: Option<PathBuf>, format: Option<Format>) -> Destination {
    let terminal = io::stdout().is_terminal();
    let colour = terminal && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    Destination { output, format, terminal, colour }
}

/// Prints what was asked for. A reader that left early has what it wanted.
fn print(text: &str) -> u8 {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format!("standard output: {error}"))
        }
        _ => 0,
    }
}

/// Says what is wrong with a configuration: lines that begin with the place, as editors understand them.
fn wrong(error: &ConfigError) -> u8 {
    match error {
        ConfigError::Unreadable(..) => complain(error),
        ConfigError::Wrong(faults) => {
            let _ = writeln!(io::stderr(), "{faults}");
            FAILED
        }
    }
}

/// Says why it failed.
fn complain(error: impl std::fmt::Display) -> u8 {
    // Where even standard error is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "botlike: {error}");
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        Cli::try_parse_from(line.split_whitespace())
            .map(|cli| cli.command)
            .map_err(|e| e.to_string())
    }

    fn read_of(line: &str) -> ReadOptions {
        match parsed(line) {
            Ok(Command::Read(read)) => options(*read).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn read_takes_what_it_says() {
        let plain = read_of("botlike read a.pcap");
        assert_eq!(
            (plain.captures, plain.config.ports, plain.config.workers),
            (vec!["a.pcap".into()], vec![25], 1)
        );
        let all = read_of(
            "botlike read --ports 587,25,25 --format json -o out --workers 4 --fail-on high --no-progress -vv a - ",
        );
        assert_eq!(
            (all.config.ports, all.config.workers, all.lines.format),
            (vec![25, 587], 4, Some(Format::Json))
        );
        assert_eq!(
            (all.lines.output, all.progress, all.verbose, all.captures.len()),
            (Some("out".into()), false, 2, 2)
        );
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "botlike",
            "botlike read",
            "botlike read --ports 0 a",
            "botlike read --ports 70000 a",
            "botlike read --workers 0 a",
            "botlike read --fail-on awful a",
            "botlike read --format xml a",
            "botlike check",
            "botlike explain",
            "botlike nonsense",
        ] {
            let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(USAGE), "{line}");
        }
    }

    #[test]
    fn everything_has_help() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
