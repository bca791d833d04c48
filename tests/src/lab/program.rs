//! The program `lab`: its command line, outside and inside.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::review::Review;
use super::world::{self, Failure};
use super::{cast, start};
use crate::recorder::Recorder;
use botlike::config::Config;
use botlike::run::{Destination, Signals, WatchOptions, settings, watch};
use botlike::source::live::Ladder;

/// See the program's own words.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("run", [folder, sensor @ ..])) if !sensor.is_empty() => {
            run(Path::new(folder), sensor)
        }
        // The first process of a process namespace, or it would rearrange the machine itself.
        Some(("world", [folder, sensor @ ..])) if std::process::id() == 1 => {
            inside(Path::new(folder), sensor)
        }
        Some(("record", [file, rest @ ..])) => record(Path::new(file), rest),
        _ => {
            eprintln!("usage: lab run FOLDER SENSOR…");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &Path, sensor: &[String]) -> ExitCode {
    let program = std::env::current_exe().and_then(|program| {
        std::fs::create_dir_all(folder)?;
        Ok((program, folder.canonicalize()?))
    });
    let (program, folder) = match program {
        Ok(found) => found,
        Err(error) => return ends(Failure::Broken, &format!("{}: {error}", folder.display())),
    };
    let mut arguments = vec![folder.display().to_string()];
    arguments.extend_from_slice(sensor);
    match start::run(&program, &arguments) {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::from(2), ExitCode::from)
        }
        Err(refusal) => ends(Failure::Refused, &refusal.0),
    }
}

fn ends(failure: Failure, why: &str) -> ExitCode {
    eprintln!("lab: {why}");
    ExitCode::from(failure as u8)
}

fn inside(folder: &Path, sensor: &[String]) -> ExitCode {
    let played = match world::play(folder, sensor) {
        Ok(played) => played,
        Err((failure, why)) => return ends(failure, &why),
    };
    let lines = match std::fs::read_to_string(folder.join(cast::LINES)) {
        Ok(lines) => lines,
        Err(error) => return ends(Failure::Broken, &format!("{}: {error}", cast::LINES)),
    };
    let review = match Review::of(&lines) {
        Ok(review) => review,
        Err(error) => return ends(Failure::Broken, &error),
    };
    println!("The sensor: {}", played.said.trim().replace('\n', "\n            "));
    print!("{}", review.text());
    for stumbled in &played.stumbled {
        println!("Somebody could not do what they meant to: {stumbled}");
    }
    if review.is_right() && played.stumbled.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `lab record FILE -c CONFIG -i INTERFACE…`: as `botlike watch`, and what it saw is written down.
fn record(file: &Path, rest: &[String]) -> ExitCode {
    let (mut config, mut interfaces) = (PathBuf::new(), Vec::new());
    for pair in rest.chunks(2) {
        match pair {
            [option, value] if option == "-c" => config = value.into(),
            [option, value] if option == "-i" => interfaces.push(value.clone()),
            _ => return ends(Failure::Broken, "record FILE -c CONFIG -i INTERFACE…"),
        }
    }
    let done = (|| -> Result<bool, Box<dyn std::error::Error>> {
        let mut config = Config::load(&config, botlike::rules::ALL)?;
        config.interfaces = interfaces;
        let mut source = Ladder::open(&config, 0)?;
        let out = BufWriter::new(std::fs::File::create(file)?);
        let mut recorder = Recorder::new(&mut source, out)?;
        let signals = Signals::of_process()?;
        let seed = Some(settings(&config).seed);
        let options = WatchOptions { config, lines: Destination::default(), seed, verbose: 0 };
        let outcome = watch(&options, &mut recorder, &signals)?;
        recorder.finish()?;
        Ok(outcome.failed)
    })();
    match done {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => ends(Failure::Broken, &error.to_string()),
    }
}
