//! `botlike watch` beside a server of the laboratory, on the machine's own link.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::packages;
use super::servers::{Machine, Site};

/// A sensor that watches a machine.
pub struct Sensor {
    child: Child,
    said: PathBuf,
}

impl Sensor {
    /// Begins to write lines of what passes the machine's link; returns when it watches.
    ///
    /// # Errors
    /// In words, when it does not.
    pub fn start(site: &Site, machine: &Machine, lines: &Path) -> Result<Self, String> {
        let said = site.scene.join(format!("{}.watch.log", machine.name()));
        let log = File::create(&said).map_err(|error| error.to_string())?;
        // It appends: lines of a run before would be of another laboratory.
        let _ = std::fs::remove_file(lines);
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("sensor").arg(lines);
        let child = site
            .within(machine, &command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("sensor: {error}"))?;
        let mut sensor = Self { child, said };
        let start = Instant::now();
        while !sensor.said().contains("botlike: watching eth0 by ") {
            if start.elapsed() > Duration::from_secs(20)
                || !matches!(sensor.child.try_wait(), Ok(None))
            {
                return Err(format!("sensor: {}", sensor.said().trim()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(sensor)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// In words, when it does not end well.
    pub fn stop(mut self) -> Result<(), String> {
        packages::run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()))?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("sensor: {}", self.said().trim())) }
    }
}

/// The sensor itself: `botlike watch`, unconfigured.
pub fn watch(lines: &Path) -> ExitCode {
    let words = ["botlike", "watch", "-i", "eth0", "--format", "json", "-v", "--output"];
    botlike::cli::main(words.into_iter().map(OsString::from).chain([lines.into()]))
}
