//! The machines of the laboratory: each a mail server in namespaces of its own, with one link to the router.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::packages::{self, run};
use super::plan::{self, Mta, Scene};

/// The scripts that furnish a machine, by name.
const SCRIPTS: [(&str, &str); 4] = [
    ("enter.sh", include_str!("../../mta/enter.sh")),
    ("postfix.sh", include_str!("../../mta/postfix.sh")),
    ("exim.sh", include_str!("../../mta/exim.sh")),
    ("opensmtpd.sh", include_str!("../../mta/opensmtpd.sh")),
];

/// The laboratory's folders and tools.
#[derive(Clone, Debug)]
pub struct Site {
    /// `target/mta`: package trees, shared by all scenes.
    pub root: PathBuf,
    /// The scene's own folder: captures, ledgers, logs.
    pub scene: PathBuf,
    /// Libraries of the unpacked tools.
    libraries: String,
}

impl Site {
    /// Makes the scene's folder and writes the scripts there.
    ///
    /// # Errors
    /// When it cannot.
    pub fn prepare(root: &Path, scene: Scene) -> io::Result<Self> {
        let folder = root.join(scene.name());
        std::fs::create_dir_all(folder.join("scripts"))?;
        for (name, text) in SCRIPTS {
            std::fs::write(folder.join("scripts").join(name), text)?;
        }
        let tools = root.join("trees").join(packages::TOOLS.name);
        let libraries = format!(
            "{0}/usr/lib:{0}/usr/lib/{1}-linux-gnu",
            tools.display(),
            std::env::consts::ARCH
        );
        Ok(Self { root: root.to_owned(), scene: folder, libraries })
    }

    /// A tool: the machine's own, or the unpacked one.
    pub fn tool(&self, name: &str) -> Command {
        if let Some(own) = packages::find_program(name) {
            return Command::new(own);
        }
        let tree = self.root.join("trees").join(packages::TOOLS.name);
        let found =
            ["usr/bin", "usr/sbin", "bin", "sbin"].map(|folder| tree.join(folder).join(name));
        let path =
            found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name));
        let mut command = Command::new(path);
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    /// `ip` with these words.
    ///
    /// # Errors
    /// In words, when it fails.
    pub fn ip(&self, words: &str) -> Result<(), String> {
        run(self.tool("ip").args(words.split_whitespace()))
            .map(drop)
            .map_err(|error| format!("ip {words}: {error}"))
    }

    /// A command in a machine's network.
    pub fn within(&self, machine: &Machine, command: &Command) -> Command {
        let mut outer = self.tool("nsenter");
        outer.arg(format!("--net=/proc/{}/ns/net", machine.child.id())).arg(command.get_program());
        outer.args(command.get_args());
        for (name, value) in command.get_envs() {
            outer.env(name, value.unwrap_or_default());
        }
        outer
    }
}

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    name: String,
    child: Child,
}

/// What a machine is.
#[derive(Clone, Debug)]
pub struct Recipe {
    name: &'static str,
    tree: &'static str,
    start: &'static str,
    hostname: String,
    domain: &'static str,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    /// Addresses that its server listens on; all, if empty.
    interfaces: String,
}

impl Recipe {
    /// A server under observation.
    pub fn of(mta: Mta, scene: Scene) -> Self {
        let start = match mta {
            Mta::Postfix => "postfix.sh",
            Mta::Exim => "exim.sh",
            Mta::Opensmtpd => "opensmtpd.sh",
        };
        Self {
            name: mta.name(),
            tree: mta.name(),
            start,
            hostname: mta.hostname(scene),
            domain: mta.domain(),
            address: mta.address(),
            gateway: mta.gateway(),
            interfaces: String::new(),
        }
    }

    /// The receiver of all domains that offer STARTTLS: a Postfix that keeps nothing.
    pub fn harbour() -> Self {
        let addresses =
            (plan::PLAIN_DOMAINS..plan::DOMAINS).map(|index| plan::exchanger(index).to_string());
        Self {
            name: "harbour",
            tree: packages::POSTFIX.name,
            start: "postfix.sh",
            hostname: plan::TLS_NAME.to_owned(),
            domain: "harbour.example.net",
            address: plan::TLS_HOST,
            gateway: plan::TLS_GATEWAY,
            interfaces: addresses.chain(["127.0.0.1".to_owned()]).collect::<Vec<_>>().join(" "),
        }
    }
}

impl Machine {
    /// Starts a machine's processes in their namespaces and gives it a link; its server waits for [`Machine::go`].
    ///
    /// # Errors
    /// In words, when namespaces or links cannot be had.
    pub fn start(site: &Site, recipe: &Recipe) -> Result<Self, String> {
        let name = recipe.name;
        let shown = |error: io::Error| format!("{name}: {error}");
        let mount = site.scene.join(format!("{name}.root"));
        std::fs::create_dir_all(&mount).map_err(shown)?;
        let log = File::create(site.scene.join(format!("{name}.log"))).map_err(shown)?;
        let child = site
            .tool("unshare")
            .args([
                "--net",
                "--mount",
                "--propagation",
                "private",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .arg("sh")
            .arg(site.scene.join("scripts/enter.sh"))
            .env("LAB_MOUNT", mount)
            .env("LAB_TREE", site.root.join("trees").join(recipe.tree))
            .env("LAB_SCRIPTS", site.scene.join("scripts"))
            .env("LAB_START", recipe.start)
            .env("LAB_HOST", &recipe.hostname)
            .env("LAB_DOMAIN", recipe.domain)
            .env("LAB_ADDRESS", recipe.address.to_string())
            .env("LAB_DNS", plan::DNS.to_string())
            .env("LAB_USERS", plan::USERS.to_string())
            .env("LAB_INTERFACES", &recipe.interfaces)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(shown)?)
            .stderr(log)
            .spawn()
            .map_err(shown)?;
        let machine = Self { name: name.to_owned(), child };
        machine.link(site, recipe)?;
        Ok(machine)
    }

    fn link(&self, site: &Site, recipe: &Recipe) -> Result<(), String> {
        let pid = self.child.id();
        let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let start = Instant::now();
        while network(&pid.to_string()).ok() == network("self").ok() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(format!("{}: no namespace of its own", self.name));
            }
            sleep(Duration::from_millis(5));
        }
        let outer = format!("to-{}", self.name);
        site.ip(&format!("link add {outer} type veth peer name eth0 netns {pid}"))?;
        site.ip(&format!("addr add {}/30 dev {outer}", recipe.gateway))?;
        site.ip(&format!("link set {outer} up"))?;
        let mut inner = vec![
            "link set lo up".to_owned(),
            format!("addr add {}/30 dev eth0", recipe.address),
            "link set eth0 up".to_owned(),
            format!("route add default via {}", recipe.gateway),
        ];
        if !recipe.interfaces.is_empty() {
            inner.push(format!("route add local {} dev lo", plan::TLS_NET));
            site.ip(&format!("route add {} via {}", plan::TLS_NET, recipe.address))?;
        }
        for words in inner {
            let mut command = site.tool("ip");
            command.args(words.split_whitespace());
            run(&mut site.within(self, &command))
                .map_err(|error| format!("{}: ip {words}: {error}", self.name))?;
        }
        Ok(())
    }

    /// Lets the server start.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn go(&mut self) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut();
        let written = stdin.map(|stdin| stdin.write_all(b"go\n"));
        written.and_then(Result::ok).ok_or_else(|| format!("{}: gone", self.name))
    }

    /// Whether its first process still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A `tcpdump` on a machine's only link.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    said: PathBuf,
}

impl Capture {
    /// Begins to write what passes the machine's link; returns when it listens.
    ///
    /// # Errors
    /// In words, when it does not.
    pub fn start(site: &Site, machine: &Machine, file: &Path) -> Result<Self, String> {
        let said = site.scene.join(format!("{}.tcpdump.log", machine.name));
        let log = File::create(&said).map_err(|error| error.to_string())?;
        let mut command = site.tool("tcpdump");
        command.args(["-n", "-s", "0", "-B", "65536", "-Z", "root", "-i", "eth0", "-w"]).arg(file);
        let child = site
            .within(machine, &command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("tcpdump: {error}"))?;
        let mut capture = Self { child, said };
        let start = Instant::now();
        while !capture.said().contains("listening on") {
            if start.elapsed() > Duration::from_secs(10)
                || !matches!(capture.child.try_wait(), Ok(None))
            {
                return Err(format!("tcpdump: {}", capture.said().trim()));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(capture)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Ends it, so that the file is whole: how many packets the kernel dropped.
    ///
    /// # Errors
    /// In words, when it does not end well.
    pub fn stop(mut self) -> Result<u64, String> {
        run(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()))?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let said = self.said();
        if !status.success() {
            return Err(format!("tcpdump: {}", said.trim()));
        }
        let dropped = said.lines().find_map(|line| line.strip_suffix(" packets dropped by kernel"));
        dropped
            .and_then(|count| count.trim().parse().ok())
            .ok_or_else(|| "tcpdump: no statistics".to_owned())
    }
}
