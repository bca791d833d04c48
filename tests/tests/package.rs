//! The Debian package on a Debian machine with systemd: it installs, starts under its unit's restrictions, watches, rotates
//! its log, and goes without a trace.
//!
//! `cargo xtask test` builds the package and names it in `BOTLIKE_PACKAGE`.

#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use botlike_tests::machine::{self, Machine, Refusal, network};
use botlike_tests::skip::{self, Kind};
use serde_json::Value;

const NAME: &str = "package";
const LOG: &str = "/var/log/botlike/botlike.jsonl";
/// The machine's address, and that of its peer behind the link `mail0`.
const MAIL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 25);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 200);
/// Nothing here takes a tenth of it; a hang must not last for ever.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn it_installs_watches_and_goes_without_a_trace() {
    let (folder, package) = match given() {
        Ok(given) => given,
        Err(why) => return skip::skip(Kind::Package, NAME, &why),
    };
    let tree = match machine::tree(&folder) {
        Ok(tree) => tree,
        Err(why) => return skip::skip(Kind::Package, NAME, &format!("no tree to boot: {why}")),
    };
    let machine = match Machine::boot(&folder, &tree, &package) {
        Ok(machine) => machine,
        Err(Refusal::Skip(why)) => return skip::skip(Kind::Package, NAME, &why),
        Err(Refusal::Failed(why)) => panic!("{why}"),
    };
    skip::ran(Kind::Package, NAME);
    let host = Host(machine);
    host.link();

    let before = host.inventory();
    host.run("dpkg -i /srv/package.deb");
    host.is_active();
    host.restrictions_hold();
    host.files_are_whose_they_should_be();

    host.says_hello_as("localhost");
    let finding = host.line("a finding", |line| line["rule"]["id"] == "helo.localhost");
    assert_eq!(finding["source"]["ip"], MAIL.to_string());
    let sensor =
        host.line("the sensor's line", |line| !line["botlike"]["sensor"]["rung"].is_null());
    let by_probe = sensor["botlike"]["sensor"]["rung"] == "tcx";
    assert_eq!(host.attached() > 0, by_probe, "{sensor}");
    host.until("the finding in the journal", || {
        host.run("journalctl --unit botlike --no-pager").contains("helo.localhost")
    });
    host.watchdog_is_fed();

    // The shipped rotation: the old file ends, a new one begins.
    host.run("logrotate --force /etc/logrotate.d/botlike");
    host.until("the new file", || host.file(LOG).exists());
    host.says_hello_as("second.example.org");
    let is_second = |line: &Value| line["smtp"]["helo"] == "second.example.org";
    host.line("a session in the new file", is_second);
    let old = lines(&host.file(&format!("{LOG}.1")));
    assert!(
        old.iter().any(|line| line["smtp"]["helo"] == "localhost") && !old.iter().any(is_second)
    );
    host.run("systemctl reload botlike");
    host.is_active();

    // Installing again is an upgrade: the service runs on, as another process.
    let first = host.main_process();
    host.run("dpkg -i /srv/package.deb");
    host.is_active();
    assert_ne!(host.main_process(), first);

    host.run("systemctl stop botlike");
    assert_eq!(host.property("Result"), "success");
    assert_eq!(host.property("ExecMainStatus"), "0");
    assert_eq!(host.attached(), 0, "programs outlive the service");
    let last = lines(&host.file(LOG)).pop().expect("a last line");
    assert_eq!(last["event"]["dataset"], "botlike.stats");

    host.run("systemctl start botlike");
    host.is_active();
    host.run("dpkg --purge botlike");
    assert_eq!(host.attached(), 0, "programs outlive the package");
    let after = host.inventory();
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "left behind: {new:#?}");
    let gone: Vec<_> = before.difference(&after).collect();
    assert!(gone.is_empty(), "taken away: {gone:#?}");
}

/// The unit's syntax, and how exposed a service of it is, by systemd's own count (0 to 10).
#[test]
fn the_unit_is_right_and_tight() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/botlike.service");
    let analyze = |arguments: &[&str]| {
        std::process::Command::new("systemd-analyze").args(arguments).arg(&unit).output()
    };
    let Ok(verified) = analyze(&["verify", "--man=no"]) else {
        return skip::skip(Kind::Package, "unit", "there is no systemd-analyze");
    };
    skip::ran(Kind::Package, "unit");
    let said = String::from_utf8_lossy(&verified.stderr);
    // The program is not installed here; nothing else may be wrong with this unit.
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("botlike.service") && !line.contains("is not executable"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let limit = analyze(&["security", "--offline=yes", "--no-pager", "--threshold=21"]).unwrap();
    assert!(limit.status.success(), "{}", String::from_utf8_lossy(&limit.stdout));
}

/// Where machines are kept, and the package; why not.
fn given() -> Result<(PathBuf, PathBuf), String> {
    machine::possible()?;
    let package = std::env::var_os("BOTLIKE_PACKAGE")
        .ok_or("no package was built; `cargo xtask test` builds one where it can")?;
    let package = PathBuf::from(package);
    if !package.is_file() {
        return Err(format!("there is no {}", package.display()));
    }
    // `target/machine`, beside the programs that tests run.
    let target = Path::new(env!("CARGO_BIN_EXE_mta-lab")).ancestors().nth(2);
    Ok((target.ok_or("no target directory")?.join("machine"), package))
}

/// The machine, and what this test asks of it.
struct Host(Machine);

impl Host {
    fn run(&self, line: &str) -> String {
        let ran = self.0.run(&["sh", "-c", line]);
        ran.unwrap_or_else(|error| panic!("{error}\n{}", self.journal()))
    }

    fn journal(&self) -> String {
        let journal = self.0.run(&["journalctl", "--no-pager", "--lines=60"]);
        journal.unwrap_or_else(|error| error)
    }

    fn file(&self, inside: &str) -> PathBuf {
        self.0.path(inside)
    }

    fn property(&self, name: &str) -> String {
        let shown = self.run(&format!("systemctl show botlike --value --property={name}"));
        shown.trim().to_owned()
    }

    fn main_process(&self) -> u32 {
        self.property("MainPID").parse().expect("a number")
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.journal());
            sleep(Duration::from_millis(100));
        }
    }

    /// Gives it an uplink, with a peer behind it.
    fn link(&self) {
        self.run(&format!(
            "ip link set lo up && ip netns add peer && ip link add mail0 type veth peer name up0 netns peer && \
             ip address add {MAIL}/24 dev mail0 && ip link set mail0 up && \
             ip -n peer address add {PEER}/24 dev up0 && ip -n peer link set up0 up"
        ));
    }

    fn is_active(&self) {
        self.until("the service", || {
            self.property("ActiveState") != "activating" || self.property("NRestarts") != "0"
        });
        let state = (self.property("ActiveState"), self.property("NRestarts"));
        assert_eq!(state, ("active".into(), "0".into()), "{}", self.journal());
        assert_eq!(self.property("UnitFileState"), "enabled");
    }

    /// The process is who and what the unit says, as the kernel sees it.
    fn restrictions_hold(&self) {
        let process = self.main_process();
        let status = self.run(&format!("cat /proc/{process}/status"));
        let status: BTreeMap<&str, &str> =
            status.lines().filter_map(|line| line.split_once(":\t")).collect();
        let user = self.run("id --user botlike");
        assert!(status["Uid"].split('\t').all(|uid| uid == user.trim()), "{}", status["Uid"]);
        assert_eq!((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"));
        // NET_ADMIN, NET_RAW, PERFMON, BPF; it may have put some down.
        let allowed = 1 << 12 | 1 << 13 | 1 << 38 | 1u64 << 39;
        for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
            let has = u64::from_str_radix(status[set], 16).expect("a hexadecimal number");
            assert_eq!(has & !allowed, 0, "{set} {has:x}");
        }
        let mounts = self.run(&format!("cat /proc/{process}/mountinfo"));
        let options = |place: &str| {
            let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
            fields.find(|f| f[4] == place).map(|f| f[5].split(',').any(|option| option == "ro"))
        };
        assert_eq!(
            (options("/"), options("/var/log/botlike")),
            (Some(true), Some(false)),
            "{mounts}"
        );
    }

    fn files_are_whose_they_should_be(&self) {
        let number =
            |of: &str| self.run(&format!("id --{of} botlike")).trim().parse().expect("a number");
        let (user, group): (u32, u32) = (number("user"), number("group"));
        for (path, mode, owner) in [
            ("/var/log/botlike", 0o750, user),
            (LOG, 0o640, user),
            ("/etc/botlike/botlike.toml", 0o640, 0),
        ] {
            let meta = fs::metadata(self.file(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(
                (meta.mode() & 0o7777, meta.uid(), meta.gid()),
                (mode, owner, group),
                "{path}"
            );
        }
    }

    /// The service manager heard from it twice.
    fn watchdog_is_fed(&self) {
        let heard = || self.property("WatchdogTimestampMonotonic");
        let first = heard();
        self.until("a sign of life", || heard() != first && first != "0");
    }

    /// A client on the machine talks to a server at the peer.
    fn says_hello_as(&self, name: &str) {
        let listener = network::within(&self.file("/run/netns/peer"), || {
            TcpListener::bind(SocketAddr::from((PEER, 25)))
        });
        let listener = listener.expect("the peer's namespace").expect("a server's socket");
        let server = std::thread::spawn(move || answer(&listener));
        let call = || TcpStream::connect_timeout(&SocketAddr::from((PEER, 25)), PATIENCE);
        let stream = network::within(&self.0.network(), call).expect("the machine's namespace");
        let stream = stream.unwrap_or_else(|error| panic!("{error}\n{}", self.journal()));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut replies = BufReader::new(&stream).lines();
        let mut next = || replies.next().expect("a reply").expect("a reply in time");
        assert!(next().starts_with("220"));
        for command in [&format!("HELO {name}"), "MAIL FROM:<a@example.org>", "RSET", "QUIT"] {
            (&stream).write_all(format!("{command}\r\n").as_bytes()).unwrap();
            assert!(next().starts_with('2'));
        }
        server.join().expect("the server");
    }

    /// The first such line in the log, when it comes.
    fn line(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            if let Some(line) = lines(&self.file(LOG)).into_iter().find(|line| is(line)) {
                return line;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.journal());
            sleep(Duration::from_millis(100));
        }
    }

    fn attached(&self) -> u32 {
        let asked = network::within(&self.0.network(), || network::attached("mail0"));
        match asked.expect("the machine's namespace") {
            Ok(count) => count,
            // A kernel without TCX has nothing attached by it.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Every file that is there to stay, every user and group, every process that is not the system's own.
    fn inventory(&self) -> BTreeSet<String> {
        // What the package manager and others note of their own work is theirs.
        let files = self.run(
            "find / -xdev \\( -path /var/lib/dpkg -o -path /var/log/journal -o -path /var/cache -o \
             -path /var/lib/systemd/timers -o -path /root \\) -prune -o -print; find /sys/fs/bpf /tmp /run/systemd/units",
        );
        let users = self.run("cut -d: -f1 /etc/passwd /etc/group /etc/shadow /etc/gshadow");
        let processes = self.run("cat /proc/[0-9]*/comm 2>/dev/null || true");
        let packages = self.run("dpkg-query --show --showformat='package ${Package}\\n'");
        let ignored = |line: &&str| {
            ["/var/lib/logrotate", "/var/lib/logrotate/status", "/etc/passwd-", "/etc/group-"]
                .contains(line)
                || ["/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"].contains(line)
                || ["/var/log/dpkg.log", "/etc/.pwd.lock"].contains(line)
        };
        let named = |line: &&str| line.contains("botlike");
        files
            .lines()
            .filter(|line| !ignored(line))
            .chain(users.lines())
            .chain(processes.lines().filter(named))
            .chain(packages.lines())
            .map(str::to_owned)
            .collect()
    }
}

/// Serves one client.
fn answer(listener: &TcpListener) {
    let (stream, _) = listener.accept().expect("a client");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (&stream).write_all(b"220 mx.example.net ESMTP\r\n").unwrap();
    for line in BufReader::new(&stream).lines() {
        let quit = line.expect("a command in time").starts_with("QUIT");
        let reply = if quit { "221 2.0.0 bye\r\n" } else { "250 2.0.0 ok\r\n" };
        (&stream).write_all(reply.as_bytes()).unwrap();
        if quit {
            break;
        }
    }
}

/// The lines of a file; the last one may still be written.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
}
