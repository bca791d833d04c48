//! Two network namespaces with a wire between them, for captures of real TCP.
//!
//! The namespaces have no names: each lives as long as a `sleep` in it, and that ends with this program, however it
//! ends. What is done in them is done with `nsenter`.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{run, tools};

/// The addresses are of the range for benchmarks (RFC 2544): no real network has them.
pub(super) const CLIENT: &str = "198.18.0.10";
/// See [`CLIENT`].
pub(super) const SERVER: &str = "198.18.0.25";

/// Seconds after which even a forgotten namespace goes.
const LIFE: &str = "3600";

/// Which end of the wire.
#[derive(Clone, Copy)]
pub(super) enum End {
    Client,
    Server,
}

/// The two namespaces; they are gone when this is dropped.
pub(super) struct Lab {
    client: Running,
    server: Running,
}

impl Lab {
    /// With frames as they are on a wire, or with the super-packets of an interface that leaves segmentation to hardware.
    pub(super) fn new(offload: bool) -> Result<Self> {
        if !run::is_root() || run::which("unshare").is_none() || run::which("nsenter").is_none() {
            bail!("network namespaces need root, unshare and nsenter");
        }
        let lab = Self { client: holder()?, server: holder()? };
        let ip = tools::find("ip")?;
        let pid = |end: &Running| end.child.id().to_string();
        let wire = ["link", "add", "wire0", "mtu", "1500", "netns"];
        let peer = ["type", "veth", "peer", "name", "wire0", "mtu", "1500", "netns"];
        run::run(ip.command().args(wire).arg(pid(&lab.client)).args(peer).arg(pid(&lab.server)))?;
        for (end, address) in [(End::Client, CLIENT), (End::Server, SERVER)] {
            run::run(&mut lab.inside(
                end,
                ip.command().args(["address", "add", &format!("{address}/24"), "dev", "wire0"]),
            ))?;
            if !offload {
                let off = ["-K", "wire0", "tso", "off", "gso", "off", "gro", "off", "tx", "off"];
                run::output(&mut lab.inside(end, tools::find("ethtool")?.command().args(off)))?;
            }
            for device in ["lo", "wire0"] {
                run::run(&mut lab.inside(end, ip.command().args(["link", "set", device, "up"])))?;
            }
        }
        Ok(lab)
    }

    /// The same command, in the namespace of one end.
    pub(super) fn inside(&self, end: End, command: &Command) -> Command {
        let holder = match end {
            End::Client => &self.client,
            End::Server => &self.server,
        };
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", holder.child.id())).arg("--");
        inside.arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    /// The file of that name under `/proc/PID` of a process at one end.
    pub(super) fn proc(&self, end: End, name: &str) -> PathBuf {
        let holder = match end {
            End::Client => &self.client,
            End::Server => &self.server,
        };
        PathBuf::from(format!("/proc/{}/{name}", holder.child.id()))
    }

    /// Starts a command in the background; it ends with what is returned. Waits until something listens on the port.
    pub(super) fn serve(&self, command: &Command, port: u16) -> Result<Running> {
        let mut inside = self.inside(End::Server, command);
        inside.stdin(Stdio::null()).stdout(Stdio::null());
        let mut running = Running::start(&mut inside)?;
        let wanted = format!(":{port:04X} 00000000:0000 0A");
        let patience = Instant::now() + Duration::from_secs(20);
        while Instant::now() < patience {
            if let Some(status) = running.child.try_wait()? {
                bail!("{command:?} ended with {status} before it listened");
            }
            let table = format!("/proc/{}/net/tcp", self.server.child.id());
            if std::fs::read_to_string(&table).is_ok_and(|table| table.contains(&wanted)) {
                return Ok(running);
            }
            sleep(Duration::from_millis(20));
        }
        bail!("{command:?} does not listen on port {port}");
    }

    /// Captures what passes the server's end while `traffic` runs. An error if the kernel dropped a packet.
    pub(super) fn capture(
        &self,
        file: &PathBuf,
        traffic: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let said = file.with_extension("said");
        let mut tcpdump = tools::find("tcpdump")?.command();
        tcpdump.args(["-n", "-p", "-i", "wire0", "-B", "262144"]);
        // Its own user might not be allowed to write here.
        tcpdump.args(["-Z", "root"]).arg("-w").arg(file).arg("tcp");
        let mut inside = self.inside(End::Server, &tcpdump);
        inside.stdin(Stdio::null()).stderr(std::fs::File::create(&said)?);
        let mut running = Running::start(&mut inside)?;
        let patience = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(&said)?.contains("listening on") {
            if Instant::now() > patience || running.child.try_wait()?.is_some() {
                bail!("tcpdump does not capture: {}", std::fs::read_to_string(&said)?);
            }
            sleep(Duration::from_millis(20));
        }
        traffic()?;
        // The last packets, and what tcpdump has not yet taken from its buffer.
        sleep(Duration::from_secs(2));
        running.signal(libc::SIGINT);
        running.child.wait()?;
        let text = std::fs::read_to_string(&said)?;
        std::fs::remove_file(&said)?;
        if !text.contains("\n0 packets dropped by kernel") {
            bail!(
                "the capture is not whole: {}",
                text.lines().last().unwrap_or("tcpdump said nothing")
            );
        }
        Ok(())
    }
}

/// A process that sleeps in a network namespace of its own.
fn holder() -> Result<Running> {
    let own = std::fs::read_link("/proc/self/ns/net")?;
    let running = Running::start(
        Command::new("unshare").args(["--net", "--", "sleep", LIFE]).stdin(Stdio::null()),
    )?;
    let namespace = format!("/proc/{}/ns/net", running.child.id());
    for _ in 0..500 {
        if std::fs::read_link(&namespace).is_ok_and(|its| its != own) {
            return Ok(running);
        }
        sleep(Duration::from_millis(10));
    }
    bail!("unshare made no network namespace")
}

/// A process that is started with this command is told to end when this program ends, however it does.
pub(super) fn ends_with_us(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is safe there: it allocates nothing, takes no lock
    // and only marks the new process to be ended when this thread ends.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// A process that is told to end when this is dropped, or when this program dies.
pub(super) struct Running {
    child: Child,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        ends_with_us(command);
        Ok(Self {
            child: command
                .spawn()
                .with_context(|| format!("cannot start {:?}", command.get_program()))?,
        })
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            bail!("a process of the traffic ended with {status}")
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end, but not for ever: `None` if it did not come.
    pub(super) fn wait(&mut self, at_most: Duration) -> Result<Option<ExitStatus>> {
        let patience = Instant::now() + at_most;
        while Instant::now() < patience {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(None)
    }

    pub(super) fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill only sends a signal; the process is ours and was not yet waited for, so its number is still its own.
        let _ = unsafe { libc::kill(self.child.id().cast_signed(), signal) };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(libc::SIGTERM);
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
