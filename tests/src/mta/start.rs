//! Outside the laboratory: what it needs is fetched, then it is started and waited for.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::packages;
use super::plan::{Mta, Scene};
use super::servers::Site;

/// Why there is no outcome.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// This machine cannot hold the laboratory.
    Skip(String),
    /// It should have, and did not.
    Failed(String),
}

/// What a scene left behind.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A capture for each server, of all that passed its link.
    pub captures: Vec<(Mta, PathBuf)>,
    /// The lines of `botlike watch` beside each server.
    pub lines: Vec<(Mta, PathBuf)>,
    /// Transactions that the internet's receivers saw.
    pub sent: PathBuf,
    /// Transactions that strangers had with the servers.
    pub received: PathBuf,
    /// What was counted, by name.
    pub counts: HashMap<String, u64>,
}

impl Outcome {
    /// A count, 0 if absent.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }
}

/// Says that `kind` was skipped, on standard output and in the file that `BOTLIKE_SKIPS` names.
pub fn skip(kind: &str, why: &str) {
    let line = format!("skipped: {kind}: {why}");
    println!("{line}");
    let Some(path) = std::env::var_os("BOTLIKE_SKIPS") else { return };
    let file = File::options().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| writeln!(file, "{line}"));
}

/// Plays a scene with everything under `root` (`target/mta`); `program` is `mta-lab`.
///
/// # Errors
/// [`Refusal::Skip`] without root, namespaces, overlay mounts or packages; [`Refusal::Failed`] when the laboratory
/// started and did not finish.
pub fn run(root: &Path, program: &Path, scene: Scene) -> Result<Outcome, Refusal> {
    let skip = |why: String| Refusal::Skip(why);
    let failed = |why: String| Refusal::Failed(why);
    if fs::metadata("/proc/self").map(|process| process.uid()).ok() != Some(0) {
        return Err(skip("needs root".to_owned()));
    }
    fs::create_dir_all(root).map_err(|error| failed(format!("{}: {error}", root.display())))?;
    let root =
        root.canonicalize().map_err(|error| failed(format!("{}: {error}", root.display())))?;
    for set in [packages::TOOLS, packages::POSTFIX, packages::EXIM, packages::OPENSMTPD] {
        packages::tree(&root, set).map_err(|why| skip(format!("package {}: {why}", set.name)))?;
    }
    let site = Site::prepare(&root, scene).map_err(|error| failed(error.to_string()))?;
    try_namespaces(&site).map_err(|why| skip(format!("namespaces: {why}")))?;

    let log_path = site.scene.join("world.log");
    let log = File::create(&log_path).map_err(|error| failed(error.to_string()))?;
    let mut child = unshare(&site)
        .arg(program)
        .args(["world".as_ref(), root.as_os_str(), scene.name().as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| failed(format!("unshare: {error}")))?;
    // Held open: when this process is gone, the laboratory reads its end and goes too.
    let _lifeline = child.stdin.take();
    let limit = Duration::from_secs(scene.limit_seconds() + 10);
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < limit => sleep(Duration::from_millis(100)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("did not end in time".to_owned()));
            }
        }
    };
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let counts = counts(&String::from_utf8_lossy(&output.stdout));
    if !status.success() || counts.get("done") != Some(&1) {
        let said = fs::read_to_string(&log_path).unwrap_or_default();
        return Err(failed(format!("{status}: {}; logs in {}", said.trim(), site.scene.display())));
    }
    Ok(Outcome {
        captures: Mta::ALL
            .map(|mta| (mta, site.scene.join(format!("{}.pcap", mta.name()))))
            .to_vec(),
        lines: Mta::ALL.map(|mta| (mta, site.scene.join(format!("{}.jsonl", mta.name())))).to_vec(),
        sent: site.scene.join("out.tsv"),
        received: site.scene.join("in.tsv"),
        counts,
    })
}

fn unshare(site: &Site) -> Command {
    let mut command = site.tool("unshare");
    command.args([
        "--net",
        "--mount",
        "--propagation",
        "private",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command
}

/// Whether this machine grants what the laboratory is made of.
fn try_namespaces(site: &Site) -> Result<(), String> {
    const TRIAL: &str = "set -e; mount -t tmpfs lab \"$1\"; cd \"$1\"; mkdir upper work root; \
         mount -t overlay lab -o lowerdir=/,upperdir=upper,workdir=work root; test -d root/usr; \
         unshare --net --mount --uts --ipc --pid --fork --kill-child true";
    let folder = site.scene.join("trial");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    packages::run(unshare(site).args(["sh", "-c", TRIAL, "sh"]).arg(folder)).map(drop)?;
    let mut link = site.tool("ip");
    link.args(["link", "add", "lab0", "type", "veth", "peer", "name", "lab1"]);
    let mut trial = unshare(site);
    trial.arg(link.get_program()).args(link.get_args());
    for (name, value) in link.get_envs() {
        trial.env(name, value.unwrap_or_default());
    }
    packages::run(&mut trial).map(drop)
}

fn counts(text: &str) -> HashMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}
