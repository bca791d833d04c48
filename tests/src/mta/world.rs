//! Inside the laboratory: the router with the rest of the internet on it. Runs as the first process of the
//! laboratory's process namespace: when it ends, everything else in there is ended by the kernel.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::letters::{self, Dice, Letter};
use super::live::Sensor;
use super::plan::{self, Mta, Scene};
use super::receiver::Receivers;
use super::sender::Client;
use super::servers::{Capture, Machine, Recipe, Site};

/// Threads that send at once, to each server and in each direction.
const SENDERS: usize = 6;
/// No message taken for this long means that the queues have run dry.
const QUIET: Duration = Duration::from_secs(12);
/// Rounds in which a letter that was put off is tried again.
const ROUNDS: usize = 6;

/// Plays a scene. What it counts goes to standard output, one `name value` a line.
///
/// # Errors
/// In words, when a server does not start or a tool fails.
pub fn play(root: &Path, scene: Scene) -> Result<(), String> {
    guard(scene);
    let shown = |error: std::io::Error| error.to_string();
    let site = Site::prepare(root, scene).map_err(shown)?;
    network(&site)?;

    let names = UdpSocket::bind(SocketAddrV4::new(plan::DNS, 53)).map_err(shown)?;
    thread::spawn(move || super::dns::serve(&names));
    let receivers =
        Arc::new(Receivers::new(Ledger::create(&site.scene.join("out.tsv")).map_err(shown)?));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 25)).map_err(shown)?;
    thread::spawn({
        let receivers = Arc::clone(&receivers);
        move || receivers.serve(&listener)
    });

    let mut harbour = Machine::start(&site, &Recipe::harbour())?;
    harbour.go()?;
    let mut machines = Vec::new();
    let mut captures = Vec::new();
    let mut sensors = Vec::new();
    for mta in Mta::ALL {
        let mut machine = Machine::start(&site, &Recipe::of(mta, scene))?;
        captures.push(Capture::start(
            &site,
            &machine,
            &site.scene.join(format!("{}.pcap", mta.name())),
        )?);
        let lines = site.scene.join(format!("{}.jsonl", mta.name()));
        sensors.push(Sensor::start(&site, &machine, &lines)?);
        machine.go()?;
        machines.push((mta, machine));
    }
    await_greeting(&site, &mut harbour)?;
    for (_, machine) in &mut machines {
        await_greeting(&site, machine)?;
    }

    let incoming = Arc::new(Ledger::create(&site.scene.join("in.tsv")).map_err(shown)?);
    let mut strangers = Vec::new();
    for mta in Mta::ALL {
        let ledger = Arc::clone(&incoming);
        strangers.push((mta, thread::spawn(move || receive(mta, scene, &ledger))));
    }
    // A server that has answered as one before it sends: what an observer is told first.
    sleep(Duration::from_secs(2));
    let mut users = Vec::new();
    for (mta, machine) in &machines {
        users.push((*mta, submit_within(&site, machine, *mta, scene)?));
    }

    for (mta, user) in users {
        let output = user.wait_with_output().map_err(shown)?;
        let said = String::from_utf8_lossy(&output.stdout);
        say(&format!("submitted.{} {}", mta.name(), said.trim()));
    }
    for (mta, stranger) in strangers {
        let taken = stranger.join().map_err(|_| "a sender broke down".to_owned())?;
        say(&format!("received.{} {taken}", mta.name()));
    }
    drain(&receivers, scene);
    for (mta, capture) in Mta::ALL.into_iter().zip(captures) {
        say(&format!("dropped.{} {}", mta.name(), capture.stop()?));
    }
    for sensor in sensors {
        sensor.stop()?;
    }
    incoming.flush();
    receivers.ledger().flush();
    say(&format!("taken {}", receivers.taken()));
    say(&format!("greylisted {}", receivers.put_off()));
    say("done 1");
    Ok(())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Ends the laboratory when its time is up, or when whoever started it is gone.
fn guard(scene: Scene) {
    thread::spawn(move || {
        sleep(Duration::from_secs(scene.limit_seconds()));
        eprintln!("the laboratory's time is up");
        std::process::exit(3);
    });
    thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(4);
    });
}

fn network(site: &Site) -> Result<(), String> {
    site.ip("link set lo up")?;
    for net in plan::WORLD_NETS {
        site.ip(&format!("route add local {net} dev lo"))?;
    }
    // Packets to the dead host vanish without a word.
    site.ip(&format!("route add blackhole {}/32", plan::DEAD))?;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
        .map_err(|error| format!("ip_forward: {error}"))
}

/// Waits for the greeting of a machine's server, asked for from inside, where no capture sees it.
fn await_greeting(site: &Site, machine: &mut Machine) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = Instant::now();
    loop {
        let mut probe = Command::new(&program);
        probe.arg("probe");
        if super::packages::run(&mut site.within(machine, &probe)).is_ok() {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(40) || !machine.alive() {
            return Err(format!("{} does not greet", machine.name()));
        }
        sleep(Duration::from_millis(100));
    }
}

/// Whether a server greets on this machine's loopback.
pub fn probe() -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, 25)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut line = String::new();
    let greeted = BufReader::new(&stream)
        .take(1024)
        .read_line(&mut line)
        .is_ok_and(|_| line.starts_with("220"));
    let _ = stream.write_all(b"QUIT\r\n");
    let _ = stream.read(&mut [0; 256]);
    greeted
}

/// Strangers send to one server: how many letters it took.
fn receive(mta: Mta, scene: Scene, ledger: &Arc<Ledger>) -> usize {
    let server = SocketAddrV4::new(mta.address(), 25);
    let mut sessions = Vec::new();
    let mut dice = Dice::new(mta as u64 + 77);
    let mut k = 0;
    while k < scene.incoming() {
        let peer = dice.below(plan::PEERS);
        let many = (1 + dice.below(4)).min(scene.incoming() - k);
        let client = Client {
            name: format!("mx.{}", plan::peer_domain(peer)),
            source: plan::peer(peer),
            server,
            pipelines: peer.is_multiple_of(2),
        };
        sessions.push((client, (k..k + many).map(|k| letters::incoming(mta, peer, k)).collect()));
        k += many;
    }
    deliver(sessions, scene, Some(ledger))
}

/// The users of the machine we are on hand their letters to its server: how many it took.
pub fn submit(mta: Mta, scene: Scene) -> usize {
    let client = Client {
        name: "localhost".to_owned(),
        source: Ipv4Addr::UNSPECIFIED,
        server: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 25),
        pipelines: false,
    };
    let mut sessions = Vec::new();
    for k in (0..scene.outgoing()).step_by(2) {
        let pair = (k..(k + 2).min(scene.outgoing())).map(|k| letters::outgoing(mta, k)).collect();
        sessions.push((client.clone(), pair));
    }
    deliver(sessions, scene, None)
}

fn submit_within(site: &Site, machine: &Machine, mta: Mta, scene: Scene) -> Result<Child, String> {
    let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    command.args(["submit", mta.name(), scene.name()]);
    let mut inside = site.within(machine, &command);
    inside.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())
}

/// Sessions spread evenly over the scene's time, some at once; letters that were put off come again later.
fn deliver(
    sessions: Vec<(Client, Vec<Letter>)>,
    scene: Scene,
    ledger: Option<&Arc<Ledger>>,
) -> usize {
    let start = Instant::now();
    let spread = Duration::from_secs(scene.spread_seconds());
    let total = u32::try_from(sessions.len().max(1)).unwrap_or(u32::MAX);
    let mut lanes: Vec<Vec<(Duration, Client, Vec<Letter>)>> = vec![Vec::new(); SENDERS];
    for ((n, (client, letters)), lane) in (0u32..).zip(sessions).zip((0..SENDERS).cycle()) {
        if let Some(lane) = lanes.get_mut(lane) {
            lane.push((spread * n / total, client, letters));
        }
    }
    let lanes: Vec<_> = lanes
        .into_iter()
        .map(|lane| {
            let ledger = ledger.map(Arc::clone);
            thread::spawn(move || {
                let mut taken = 0;
                let mut waiting = Vec::new();
                for (due, client, letters) in lane {
                    sleep(due.saturating_sub(start.elapsed()));
                    let report = client.send(letters, ledger.as_deref());
                    taken += report.taken;
                    if !report.put_off.is_empty() {
                        waiting.push((client, report.put_off));
                    }
                }
                for _ in 0..ROUNDS {
                    if waiting.is_empty() {
                        break;
                    }
                    sleep(Duration::from_secs(3));
                    for (client, letters) in std::mem::take(&mut waiting) {
                        let report = client.send(letters, ledger.as_deref());
                        taken += report.taken;
                        if !report.put_off.is_empty() {
                            waiting.push((client, report.put_off));
                        }
                    }
                }
                taken
            })
        })
        .collect();
    lanes.into_iter().map(|lane| lane.join().unwrap_or(0)).sum()
}

/// Waits until nothing is sent any more, at most as long as the scene allows.
fn drain(receivers: &Receivers, scene: Scene) {
    let limit = Duration::from_secs(scene.limit_seconds() / 3);
    let start = Instant::now();
    let (mut taken, mut since) = (receivers.taken(), Instant::now());
    while start.elapsed() < limit && (since.elapsed() < QUIET || receivers.open() > 0) {
        sleep(Duration::from_millis(200));
        if receivers.taken() != taken {
            (taken, since) = (receivers.taken(), Instant::now());
        }
    }
}
