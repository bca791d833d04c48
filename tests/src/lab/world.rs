//! Inside the laboratory: the host with the sensor, its guests and the rest of the internet. The first process of its
//! process namespace: when it ends, the kernel ends everything else in there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::cast::{self, CAST};
use super::net::Net;
use super::plan::{self, Habit};
use super::receiver::Receiver;
use super::talk::{Guest, text};
use super::{names, start};

/// How the inside ends, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This machine does not grant what the laboratory is made of: nothing happened.
    Refused = 3,
    /// It began, and something broke.
    Broken = 2,
}

/// Plays everything once with a sensor; what it wrote lies in the folder afterwards.
///
/// # Errors
/// How it ends, and why.
pub fn play(folder: &Path, sensor: &[String]) -> Result<Played, (Failure, String)> {
    guard();
    start::settle().map_err(|why| (Failure::Refused, why))?;
    let net = Net::build().map_err(|why| (Failure::Refused, why))?;
    act(folder, sensor, &net).map_err(|why| (Failure::Broken, why))
}

/// What a run left.
#[derive(Debug)]
pub struct Played {
    /// Actors that could not do what they meant to, and why.
    pub stumbled: Vec<String>,
    /// What the sensor said on its standard error.
    pub said: String,
}

fn act(folder: &Path, sensor: &[String], net: &Net) -> Result<Played, String> {
    let shown = |error: io::Error| error.to_string();
    net.outside.within(|| serve().map_err(|error| format!("receivers: {error}")))?;
    for actor in CAST.iter().filter(|actor| actor.greets) {
        let place = net.behind(actor.tap).ok_or("a tap that is not there")?;
        place.within(|| {
            let habit = Habit::plain(format!("mail.{}.example.org", actor.name.replace(' ', "-")));
            Receiver::start(actor.address(), 25, habit).map_err(|error| error.to_string())
        })?;
    }
    std::fs::write(folder.join("lab.toml"), cast::config(folder)).map_err(shown)?;
    let mut sensor = Sensor::start(folder, sensor)?;

    // A mail host is known by its answering as one.
    net.outside.within(|| strangers().map_err(|error| format!("a stranger: {error}")))?;

    let (done, wait) = channel();
    for actor in CAST {
        let place = net.behind(actor.tap).ok_or("a tap that is not there")?;
        let done = done.clone();
        place.spawn(move || {
            let guest = Guest { address: actor.address(), tls: actor.tls };
            let _ = done.send((actor, (actor.script)(&guest)));
        });
    }
    drop(done);
    let (mut left, mut stumbled) = (CAST.len(), Vec::new());
    let end = Instant::now() + plan::PLAY;
    while left > 0 {
        let patience = end.saturating_duration_since(Instant::now());
        let Ok((actor, outcome)) = wait.recv_timeout(patience) else { break };
        left -= 1;
        if let Err(error) = outcome {
            stumbled.push(format!("{}: {error}", actor.name));
        }
    }
    if left > 0 {
        stumbled.push(format!("{left} did not come to an end"));
    }
    // The last attempts are known to have failed only after a while.
    sleep(Duration::from_secs(5));
    sensor.stop()?;
    let said = std::fs::read_to_string(folder.join("sensor.log")).map_err(shown)?;
    Ok(Played { stumbled, said })
}

/// Ends the laboratory when its time is up.
fn guard() {
    thread::spawn(|| {
        sleep(plan::LIMIT);
        eprintln!("the laboratory's time is up");
        std::process::exit(Failure::Broken as i32);
    });
}

/// The rest of the internet.
fn serve() -> io::Result<()> {
    names::serve(plan::RESOLVER)?;
    names::serve(plan::FOREIGN_RESOLVER)?;
    for index in 0..plan::RECEIVERS {
        Receiver::start(plan::receiver(index), 25, Habit::of(index))?;
    }
    for index in plan::OPEN {
        let habit = Habit::plain(format!("host{index}.pool.example.com"));
        Receiver::start(plan::swept(index), 25, habit)?;
    }
    Receiver::start(plan::SUBMISSION, 587, Habit::submission())
}

/// Somebody writes to each mail host.
fn strangers() -> io::Result<()> {
    for (n, address) in (0..).zip(plan::STRANGERS) {
        let guest = Guest { address, tls: true };
        for host in CAST.iter().filter(|actor| actor.greets) {
            let (from, to) = (format!("friend@far{n}.example.com"), "clerk@example.org");
            let mut talk = guest.session(host.address(), &format!("mx.far{n}.example.com"))?;
            talk.letter(&from, &[to], &text(&from, to, "regards"))?;
            talk.quit()?;
        }
    }
    Ok(())
}

/// The sensor, a process of its own on the host.
struct Sensor {
    child: Child,
}

impl Sensor {
    /// Starts it and waits until it watches.
    fn start(folder: &Path, words: &[String]) -> Result<Self, String> {
        let shown = |error: io::Error| format!("the sensor: {error}");
        let (program, arguments) = words.split_first().ok_or("no sensor was named")?;
        let log = File::create(folder.join("sensor.log")).map_err(shown)?;
        let ready: PathBuf = folder.join("ready");
        // Of a run before; lines would be appended.
        for file in [&ready, &folder.join(cast::LINES), &folder.join(cast::READABLE)] {
            let _ = std::fs::remove_file(file);
        }
        let socket = std::os::unix::net::UnixDatagram::bind(&ready).map_err(shown)?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(shown)?;
        let mut command = Command::new(program);
        command.args(arguments).arg("-c").arg(folder.join("lab.toml"));
        for interface in plan::TAPS.iter().map(|tap| tap.name).chain([plan::UPLINK]) {
            command.args(["-i", interface]);
        }
        let child = command
            .env("NOTIFY_SOCKET", &ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(shown)?)
            .stderr(log)
            .spawn()
            .map_err(shown)?;
        let mut sensor = Self { child };
        let end = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 1024];
        while !socket.recv(&mut buffer).is_ok_and(|len| buffer[..len].starts_with(b"READY=1")) {
            let gone = !matches!(sensor.child.try_wait(), Ok(None));
            if gone || Instant::now() > end {
                let said = std::fs::read_to_string(folder.join("sensor.log")).unwrap_or_default();
                let what = if gone { "ended" } else { "is not ready" };
                return Err(format!("the sensor {what}: {}", said.trim()));
            }
        }
        Ok(sensor)
    }

    fn stop(&mut self) -> Result<(), String> {
        let pid = libc::pid_t::try_from(self.child.id()).map_err(|error| error.to_string())?;
        // SAFETY: kill takes two numbers; the child was not waited for, so its number is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the sensor ended with {status}")),
                _ => sleep(Duration::from_millis(20)),
            }
        }
        Err("the sensor does not end".to_owned())
    }
}
