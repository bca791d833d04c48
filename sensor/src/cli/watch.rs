//! `botlike watch`: what was typed, as meant.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, ValueHint};

use super::{FAILED, complain, destination, formats, wrong};
use crate::config::{ConfigError, Format, Interests};
use crate::run::{self, Signals, WatchOptions};
use crate::source::live::{Ladder, Observe, RungKind};

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Interfaces to watch, again or separated by commas; * stands for any characters [default: all suitable ones]
    #[arg(short, long = "interface", value_name = "IFACE", value_delimiter = ',')]
    interfaces: Vec<String>,
    /// Configuration file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Server ports to follow, separated by commas [default: 25, or what the configuration says]
    #[arg(long, value_name = "PORTS", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// How packets are taken [default: the first of them that works]
    #[arg(long, value_name = "METHOD", value_parser = methods())]
    method: Option<RungKind>,
    /// What is taken besides SMTP, separated by commas [default: dns, or what the configuration says]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = interests())]
    interests: Vec<Interests>,
    /// How far to look [default: metadata at guests' interfaces, full elsewhere]
    #[arg(long, value_name = "HOW", value_parser = observes())]
    observe: Option<Observe>,
    /// How lines look [default: pretty on a terminal, json otherwise]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Append lines to this file instead of standard output or what the configuration says
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Worker threads; the lines do not depend on it [default: 1, or what the configuration says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Tell more on standard error
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

fn methods() -> impl TypedValueParser<Value = RungKind> {
    PossibleValuesParser::new(RungKind::ALL.map(RungKind::name)).try_map(|word| {
        RungKind::ALL.into_iter().find(|rung| rung.name() == word).ok_or("not a method")
    })
}

fn interests() -> impl TypedValueParser<Value = Interests> {
    PossibleValuesParser::new(Interests::WORDS.map(|(_, word)| word)).try_map(|word| {
        let found = Interests::WORDS.into_iter().find(|(_, known)| *known == word);
        found.map(|(interest, _)| interest).ok_or("not an interest")
    })
}

fn observes() -> impl TypedValueParser<Value = Observe> {
    PossibleValuesParser::new([Observe::Metadata.name(), Observe::Full.name()])
        .map(|word| if word == Observe::Full.name() { Observe::Full } else { Observe::Metadata })
}

pub(super) fn main(arguments: Watch) -> u8 {
    let mut options = match options(arguments) {
        Ok(options) => options,
        Err(error) => return wrong(&error),
    };
    let signals = match Signals::of_process() {
        Ok(signals) => signals,
        Err(error) => return complain(format!("cannot take signals: {error}")),
    };
    let mut ladder = match Ladder::open(&options.config, options.verbose) {
        Ok(ladder) => ladder,
        Err(error) => return complain(error),
    };
    if options.config.watched.is_empty() {
        options.config.watched = ladder.own_addresses();
    }
    match run::watch(&options, &mut ladder, &signals) {
        Ok(outcome) if outcome.failed => FAILED,
        Ok(_) => 0,
        Err(error) => complain(error),
    }
}

fn options(arguments: Watch) -> Result<WatchOptions, ConfigError> {
    let mut config =
        super::configured(arguments.config.as_deref(), arguments.ports, arguments.workers)?;
    if !arguments.interfaces.is_empty() {
        config.interfaces = arguments.interfaces;
    }
    if !arguments.interests.is_empty() {
        config.interests = arguments.interests;
        if !config.interests.contains(&Interests::Smtp) {
            config.interests.insert(0, Interests::Smtp);
        }
    }
    config.method = arguments.method.or(config.method);
    config.observe = arguments.observe.or(config.observe);
    let lines = destination(arguments.output, arguments.format);
    Ok(WatchOptions { config, lines, seed: None, verbose: arguments.verbose })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    fn watch_of(line: &str) -> WatchOptions {
        match Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command) {
            Ok(Command::Watch(watch)) => options(*watch).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn watch_takes_what_it_says() {
        let plain = watch_of("botlike watch").config;
        assert_eq!((plain.interfaces.len(), plain.method, plain.observe), (0, None, None));
        assert_eq!(plain.interests, [Interests::Smtp, Interests::Dns]);
        let all = watch_of(
            "botlike watch -i eth0,tap* -i lo --ports 587,25 --method af_packet --interests syn --observe metadata \
             --format json -o out --workers 2 -v",
        );
        assert_eq!(all.config.interfaces, ["eth0", "tap*", "lo"]);
        assert_eq!(
            (all.config.method, all.config.observe, all.config.workers),
            (Some(RungKind::AfPacket), Some(Observe::Metadata), 2)
        );
        assert_eq!(all.config.interests, [Interests::Smtp, Interests::Syn]);
        assert_eq!((all.lines.output, all.lines.format), (Some("out".into()), Some(Format::Json)));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "botlike watch --method magic",
            "botlike watch --observe nothing",
            "botlike watch --interests smtp,mail",
            "botlike watch eth0",
        ] {
            assert_eq!(
                Cli::try_parse_from(line.split_whitespace()).unwrap_err().exit_code(),
                2,
                "{line}"
            );
        }
    }
}
