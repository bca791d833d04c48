//! A run: sources, threads and outputs tied together.

mod pipeline;
mod read;
mod threads;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use botlike_core::detect::Severity;

use crate::config::{Config, Format};
use crate::emit::{Encoder, Json, Output, Outputs, Pretty, Privacy, Style};
use crate::rules::Entries;

pub use pipeline::{End, Pipeline, Settings, Sink};
pub use read::{Printer, read, settings};

/// What `botlike read` was asked to do. The command line went into `config` where both can say a thing.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The captures; `-` is standard input.
    pub captures: Vec<PathBuf>,
    /// The configuration.
    pub config: Config,
    /// Where lines go, as asked; before anything that the configuration says.
    pub output: Option<PathBuf>,
    /// How they look, as asked.
    pub format: Option<Format>,
    /// Whether standard output is a terminal: readable lines go there where nothing else was asked.
    pub terminal: bool,
    /// Whether readable lines on standard output may be coloured.
    pub colour: bool,
    /// A filter expression of libpcap: other packets are passed over.
    pub filter: Option<String>,
    /// Show progress on standard error.
    pub progress: bool,
    /// How much to tell on standard error beside errors.
    pub verbose: u8,
}

/// How a run ended that could begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Something could not be read or written; it was told on standard error.
    pub failed: bool,
    /// The severity of the worst finding.
    pub worst: Option<Severity>,
}

/// Opens all places where lines go.
///
/// # Errors
///
/// Where a file cannot be created, with its name.
pub fn open_outputs(options: &ReadOptions, rules: Entries) -> Result<Outputs, Box<dyn Error>> {
    let config = &options.config;
    let open = |name: &str, file: Option<&Path>, format: Option<Format>, privacy: Privacy| {
        let style = Style { observer: config.name.clone(), key: config.key, privacy, rules };
        let format = options.format.or(format).unwrap_or(match file {
            None if options.terminal => Format::Pretty,
            _ => Format::Json,
        });
        let encoder: Box<dyn Encoder> = match format {
            Format::Json => Box::new(Json::new(style)),
            Format::Pretty => Box::new(Pretty::new(style, file.is_none() && options.colour)),
        };
        let writer: Box<dyn Write + Send> = match file {
            None => Box::new(io::stdout()),
            Some(path) => {
                Box::new(create(path).map_err(|error| format!("{}: {error}", path.display()))?)
            }
        };
        Ok::<_, Box<dyn Error>>(Output::new(name, encoder, writer))
    };
    if let Some(path) = &options.output {
        let file = (path != Path::new("-")).then_some(path.as_path());
        return Ok(Outputs::new(vec![open("--output", file, None, config.privacy)?]));
    }
    if config.outputs.is_empty() {
        return Ok(Outputs::new(vec![open("standard output", None, None, config.privacy)?]));
    }
    let outputs = config
        .outputs
        .iter()
        .map(|o| Ok(open(&o.name, o.file.as_deref(), o.format, o.privacy)?.only(&o.lines)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    Ok(Outputs::new(outputs))
}

/// Lines tell of people: others may not read the file.
fn create(path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}
