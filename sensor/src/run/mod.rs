//! A run: sources, threads and outputs tied together.

mod pipeline;
mod read;
mod threads;
mod watch;

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use botlike_core::detect::Severity;

use crate::config::{Config, Format};
use crate::emit::{Again, Encoder, Json, Output, Outputs, Pretty, Privacy, Style};
use crate::rules::Entries;

pub use pipeline::{End, Pipeline, Settings, Sink};
pub use read::{Printer, read, settings};
pub use watch::{Signals, WatchOptions, watch};

/// Where lines go, as asked on the command line: before anything that the configuration says.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    /// The file; `-` is standard output.
    pub output: Option<PathBuf>,
    /// How they look.
    pub format: Option<Format>,
    /// Whether standard output is a terminal: readable lines go there where nothing else was asked.
    pub terminal: bool,
    /// Whether readable lines on standard output may be coloured.
    pub colour: bool,
}

/// What `botlike read` was asked to do. The command line went into `config` where both can say a thing.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The captures; `-` is standard input.
    pub captures: Vec<PathBuf>,
    /// The configuration.
    pub config: Config,
    /// Where lines go.
    pub lines: Destination,
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

/// How outputs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Files are made anew, and the run waits for its outputs.
    Anew,
    /// Files go on where they ended, and the run waits for nobody.
    Live,
}

/// Opens all places where lines go.
///
/// # Errors
///
/// Where a file cannot be created, or is one of the captures, with its name.
pub fn open_outputs(
    config: &Config,
    lines: &Destination,
    captures: &[PathBuf],
    writing: Writing,
    rules: Entries,
) -> Result<Outputs, Box<dyn Error>> {
    let open = |name: &str, file: Option<&Path>, format: Option<Format>, privacy: Privacy| {
        let style = Style { observer: config.name.clone(), key: config.key, privacy, rules };
        let format = lines.format.or(format).unwrap_or(match file {
            None if lines.terminal => Format::Pretty,
            _ => Format::Json,
        });
        let encoder: Box<dyn Encoder> = match format {
            Format::Json => Box::new(Json::new(style)),
            Format::Pretty => Box::new(Pretty::new(style, file.is_none() && lines.colour)),
        };
        let writer: Box<dyn Write + Send> = match file {
            None => Box::new(io::stdout()),
            Some(path) if captures.iter().any(|capture| is_same(capture, path)) => {
                let path = path.display();
                return Err(
                    format!("{path}: it is one of the captures, lines would overwrite it").into()
                );
            }
            Some(path) => Box::new(
                create(path, writing).map_err(|error| format!("{}: {error}", path.display()))?,
            ),
        };
        Ok::<_, Box<dyn Error>>(match writing {
            Writing::Anew => Output::new(name, encoder, writer),
            Writing::Live => {
                let again = file.map(|path| {
                    let path = path.to_owned();
                    Box::new(move || {
                        create(&path, writing).map(|file| Box::new(file) as Box<dyn Write + Send>)
                    }) as Again
                });
                Output::apart(name, encoder, writer, again)
            }
        })
    };
    if let Some(path) = &lines.output {
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

/// Whether both are names of one file. What is no file cannot be overwritten, so it may be both.
fn is_same(capture: &Path, output: &Path) -> bool {
    let name = |path: &Path| path.canonicalize().ok().filter(|path| path.is_file());
    capture != Path::new("-") && name(output).is_some_and(|output| name(capture) == Some(output))
}

/// Lines tell of people: others may not read the file.
fn create(path: &Path, writing: Writing) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.create(true);
    match writing {
        Writing::Anew => options.write(true).truncate(true),
        Writing::Live => options.append(true),
    };
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;

    fn options(config: &str) -> ReadOptions {
        ReadOptions {
            captures: Vec::new(),
            config: Config::parse("x", config, samples::RULES).unwrap_or_else(|f| panic!("{f}")),
            lines: Destination::default(),
            filter: None,
            progress: false,
            verbose: 0,
        }
    }

    #[test]
    fn lines_go_where_they_were_sent() {
        let dir = std::env::temp_dir().join(format!("botlike-outputs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = |name: &str| dir.join(name);
        std::fs::write(path("all"), "old").unwrap();
        let config = format!(
            "[output.all]\nfile = {:?}\n[output.some]\nfile = {:?}\nlines = [\"stats\"]\nformat = \"pretty\"\n",
            path("all"),
            path("some"),
        );
        let mut asked = options(&config);
        let mut outputs =
            open_outputs(&asked.config, &asked.lines, &[], Writing::Anew, samples::RULES).unwrap();
        samples::each(|line| outputs.line(line));
        outputs.flush();
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        assert!(
            read("all").starts_with("{\"@timestamp\"")
                && read("all").lines().count() as u64 == outputs.lines()
        );
        assert!(read("some").starts_with("2026-11-23 ") && read("some").lines().count() == 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(path("some")).unwrap().permissions().mode() & 0o007, 0);
        }

        asked.lines.output = Some(path("one"));
        asked.lines.format = Some(Format::Pretty);
        let mut outputs =
            open_outputs(&asked.config, &asked.lines, &[], Writing::Anew, samples::RULES).unwrap();
        samples::each(|line| outputs.line(line));
        outputs.flush();
        assert!(read("one").starts_with("2026-11-23 ") && !read("one").contains('\x1b'));

        asked.lines.output = Some(path("no/such/place"));
        let error = open_outputs(&asked.config, &asked.lines, &[], Writing::Anew, samples::RULES)
            .err()
            .map(|e| e.to_string())
            .unwrap();
        assert!(error.contains("no/such/place"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
