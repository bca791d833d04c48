//! The program that holds the probe, and what is left in the kernel when it is gone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The capabilities of the unit, as setpriv(1) names them.
const CAPABILITIES: &str = "-all,+bpf,+net_admin,+net_raw,+perfmon";

/// Whether setpriv(1) is there.
pub(crate) fn can_be_another() -> bool {
    Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// `botlike watch`, which has begun to.
pub(crate) struct Watch(Child);

impl Watch {
    /// As root.
    pub(crate) fn root(interface: &str) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_botlike")), interface)
    }

    /// As nobody, with the unit's capabilities.
    pub(crate) fn unit(interface: &str) -> Self {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
            .args(["--inh-caps", CAPABILITIES, "--ambient-caps", CAPABILITIES])
            .args(["--bounding-set", CAPABILITIES, env!("CARGO_BIN_EXE_botlike")]);
        Self::of(command, interface)
    }

    fn of(mut command: Command, interface: &str) -> Self {
        command.args(["watch", "-i", interface, "--method", "tcx"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut watch = Self(command.spawn().unwrap());
        // It ends when the child does.
        let mut said = String::new();
        for line in BufReader::new(watch.0.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if line.contains("botlike: watching ") {
                return watch;
            }
            said = format!("{said}\n{line}");
        }
        panic!("it does not watch:{said}");
    }

    /// What it holds of the kernel's programs, maps and links, by their numbers.
    pub(crate) fn holds(&self) -> Held {
        let mut held = Held::default();
        for file in fs::read_dir(format!("/proc/{}/fdinfo", self.0.id())).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            let number = |name: &str| {
                text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u32>().ok())
            };
            // A link tells of its program, too.
            if let Some(link) = number("link_id:") {
                held.links.push(link);
            } else if let Some(program) = number("prog_id:") {
                held.programs.push(program);
            } else if let Some(map) = number("map_id:") {
                held.maps.push(map);
            }
        }
        held
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Programs, maps and links of the kernel, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) programs: Vec<u32>,
    pub(crate) maps: Vec<u32>,
    pub(crate) links: Vec<u32>,
}

impl Held {
    /// Those of them that are still there.
    pub(crate) fn left(&self) -> Self {
        let programs: Vec<u32> =
            aya::programs::loaded_programs().flatten().map(|program| program.id()).collect();
        let maps: Vec<u32> = aya::maps::loaded_maps().flatten().map(|map| map.id()).collect();
        let links: Vec<u32> =
            aya::programs::loaded_links().flatten().map(|link| link.id()).collect();
        let of = |mine: &[u32], all: &[u32]| -> Vec<u32> {
            mine.iter().filter(|id| all.contains(id)).copied().collect()
        };
        Self {
            programs: of(&self.programs, &programs),
            maps: of(&self.maps, &maps),
            links: of(&self.links, &links),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.maps.is_empty() && self.links.is_empty()
    }

    /// Waits until nothing is left: the kernel takes it down after the process, not with it.
    pub(crate) fn is_taken_down(&self) {
        let began = Instant::now();
        while !self.left().is_empty() {
            assert!(began.elapsed() < PATIENCE, "left: {:?}", self.left());
            thread::sleep(Duration::from_millis(20));
        }
    }
}
