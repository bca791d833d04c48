//! Programs that tests and measurements use beside botlike: the machine's own where it has them, otherwise unpacked from
//! Debian's packages under the target directory. Nothing is installed; apt works with lists and caches of its own there.
//!
//! `TARGET/tools/bin` holds a script for each unpacked program, so that a folder in `PATH` is all that a test needs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::run;

/// Programs, and the packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("smtp-sink", "postfix"),
    ("smtp-source", "postfix"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
];

/// The suite that has Suricata 8.
const SURICATA_SUITE: &str = "sid";

/// A program, and what it needs to be started.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    before: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
}

impl Tool {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.before).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The first line of what it says of its version, whichever way it says it.
    pub(crate) fn version(&self, argument: &str) -> String {
        let Ok(out) = self.command().arg(argument).output() else { return "unknown".into() };
        let said = if out.stdout.is_empty() { out.stderr } else { out.stdout };
        String::from_utf8_lossy(&said).lines().next().unwrap_or("unknown").trim().to_owned()
    }

    fn of_machine(program: PathBuf) -> Self {
        Self { program, before: Vec::new(), env: Vec::new() }
    }
}

/// `cargo xtask tools NAME…`.
pub(crate) fn main(names: &[&str]) -> Result<ExitCode> {
    for name in names {
        let tool = if *name == "suricata" { suricata()? } else { find(name)? };
        println!("{name}: {:?}", tool.command());
    }
    Ok(ExitCode::SUCCESS)
}

/// `PATH` with the unpacked programs behind the machine's own.
pub(crate) fn path() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([home().join("bin")]);
    Ok(std::env::join_paths(folders)?)
}

/// The machine's program of that name, or an unpacked one.
pub(crate) fn find(name: &str) -> Result<Tool> {
    match run::which(name) {
        Some(program) => Ok(Tool::of_machine(program)),
        None => {
            unpack(&[name]).and_then(|tools| tools.into_iter().next().context("nothing unpacked"))
        }
    }
}

/// Unpacks programs of the table above with what they need that the machine has not.
pub(crate) fn unpack(names: &[&str]) -> Result<Vec<Tool>> {
    let root = Root(home().join("debian"));
    names
        .iter()
        .map(|name| {
            let (_, package) = PACKAGES
                .iter()
                .find(|(program, _)| program == name)
                .with_context(|| format!("I do not know which package has {name}"))?;
            let done = root.0.join(format!("{package}.unpacked"));
            if !done.exists() {
                eprintln!("xtask: unpacking {package} for {name}");
                Apt::machine(&root.0)?.unpack(package, &root.tree())?;
                std::fs::write(done, "")?;
            }
            let tool = root.tool(name)?;
            write_script(name, &tool)?;
            Ok(tool)
        })
        .collect()
}

/// Suricata 8: the machine's, or Debian's, run with the libraries of its own suite by that suite's loader.
pub(crate) fn suricata() -> Result<Tool> {
    let of_machine = run::which("suricata").map(Tool::of_machine);
    if let Some(tool) = of_machine.filter(|tool| tool.version("-V").contains("version 8")) {
        return Ok(tool);
    }
    let root = Root(home().join("suricata"));
    let done = root.0.join("suricata.unpacked");
    if !done.exists() {
        eprintln!("xtask: unpacking suricata of Debian's {SURICATA_SUITE} (about 120 MB)");
        Apt::other_suite(&root.0, SURICATA_SUITE)?.unpack("suricata", &root.tree())?;
        std::fs::write(done, "")?;
    }
    let program = root.program("suricata")?;
    let libraries = root.libraries();
    let loader = libraries
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
        })
        .context("the unpacked suite has no loader")?;
    let tool = Tool {
        program: loader,
        before: vec!["--library-path".into(), std::env::join_paths(&libraries)?, program.into()],
        env: Vec::new(),
    };
    let version = tool.version("-V");
    if !version.contains("version 8") {
        bail!("what was unpacked says {version:?}, which is not Suricata 8");
    }
    Ok(tool)
}

fn home() -> PathBuf {
    run::target().join("tools")
}

/// A script in `TARGET/tools/bin` that starts the tool.
fn write_script(name: &str, tool: &Tool) -> Result<()> {
    let folder = home().join("bin");
    std::fs::create_dir_all(&folder)?;
    let env: String =
        tool.env.iter().map(|(name, value)| format!("{name}='{}' ", value.display())).collect();
    let path = folder.join(name);
    std::fs::write(
        &path,
        format!("#!/bin/sh\nexec env {env}'{}' \"$@\"\n", tool.program.display()),
    )?;
    run::run(Command::new("chmod").arg("+x").arg(&path))
}

/// A folder with an unpacked tree of packages in it.
struct Root(PathBuf);

impl Root {
    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        ["usr/bin", "usr/sbin", "bin", "sbin"]
            .iter()
            .map(|folder| self.tree().join(folder).join(name))
            .find(|path| path.exists())
            .with_context(|| format!("the unpacked package has no {name}"))
    }

    /// Where its shared libraries lie.
    fn libraries(&self) -> Vec<PathBuf> {
        let tree = self.tree();
        let mut folders = Vec::new();
        for base in ["usr/lib", "lib"] {
            let inside = std::fs::read_dir(tree.join(base))
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()));
            folders.extend(inside.filter(|path| {
                path.is_dir()
                    && path
                        .file_name()
                        .is_some_and(|name| name.to_string_lossy().contains("-linux-gnu"))
            }));
        }
        folders.push(tree.join("usr/lib/postfix"));
        folders.push(tree.join("usr/lib"));
        folders
    }

    fn tool(&self, name: &str) -> Result<Tool> {
        let mut env = vec![("LD_LIBRARY_PATH", std::env::join_paths(self.libraries())?)];
        match name {
            "tshark" => {
                env.push(("WIRESHARK_DATA_DIR", self.tree().join("usr/share/wireshark").into()))
            }
            "python3" => env.push(("PYTHONHOME", self.tree().join("usr").into())),
            _ => {}
        }
        Ok(Tool { program: self.program(name)?, before: Vec::new(), env })
    }
}

/// An apt that reads and writes below one folder only.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// With the machine's sources and what it has installed.
    fn machine(folder: &Path) -> Result<Self> {
        Self::new(folder, "")
    }

    /// With another suite of the machine's Debian mirror, and nothing installed.
    fn other_suite(folder: &Path, suite: &str) -> Result<Self> {
        let machine = Self::machine(&folder.join("machine"))?;
        let targets = machine.get(&[
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Origin: Debian",
            "Created-By: Packages",
        ])?;
        let mirror = targets
            .lines()
            .find(|mirror| !mirror.contains("security"))
            .context("apt knows no Debian mirror")?;
        let key = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
        let signed =
            if key.exists() { format!("[signed-by={}] ", key.display()) } else { String::new() };
        let sources = folder.join("sources.list");
        std::fs::write(&sources, format!("deb {signed}{mirror} {suite} main\n"))?;
        std::fs::write(folder.join("status"), "")?;
        let (sources, status) = (sources.display(), folder.join("status"));
        Self::new(
            folder,
            &format!(
                "Dir::Etc::sourcelist \"{sources}\";\nDir::Etc::sourceparts \"-\";\nDir::Etc::preferencesparts \"-\";\n\
                 Dir::State::status \"{}\";\n",
                status.display()
            ),
        )
    }

    fn new(folder: &Path, more: &str) -> Result<Self> {
        if run::which("apt-get").is_none() || run::which("dpkg").is_none() {
            bail!("this machine has no apt-get to fetch packages with");
        }
        let folder = folder.to_path_buf();
        for name in ["lists/partial", "archives/partial"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let here = folder.display();
        // A machine whose clock is not the mirror's is no reason to do without.
        let config = format!(
            "Dir::State::lists \"{here}/lists\";\nDir::Cache \"{here}\";\nDir::Cache::archives \"{here}/archives\";\n\
             Acquire::Languages \"none\";\nAcquire::Check-Valid-Until \"false\";\nAcquire::Check-Date \"false\";\n\
             Acquire::Retries \"3\";\nAPT::Install-Recommends \"false\";\nAPT::Sandbox::User \"\";\n{more}"
        );
        std::fs::write(folder.join("apt.conf"), config)?;
        let apt = Self { folder };
        if !apt.folder.join("lists/updated").exists() {
            apt.get(&["-q", "update"])?;
            std::fs::write(apt.folder.join("lists/updated"), "")?;
        }
        Ok(apt)
    }

    fn get(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        run::output(command.current_dir(self.folder.join("archives")).args(args))
    }

    /// Unpacks a package and all it needs that is not installed.
    fn unpack(&self, package: &str, tree: &Path) -> Result<()> {
        let plan = self.get(&["--simulate", "install", package])?;
        let names: Vec<_> = plan
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next())
            .collect();
        if names.is_empty() {
            bail!("apt does not offer {package}");
        }
        let mut download = vec!["-q", "download"];
        download.extend(&names);
        self.get(&download)?;
        std::fs::create_dir_all(tree)?;
        for entry in std::fs::read_dir(self.folder.join("archives"))? {
            let file = entry?.path();
            if file.extension().is_some_and(|kind| kind == "deb") {
                run::run(Command::new("dpkg").arg("-x").arg(&file).arg(tree))?;
                std::fs::remove_file(&file)?;
            }
        }
        Ok(())
    }
}
