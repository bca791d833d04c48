//! A network namespace of a thread's own, a mail server and clients in it, and the program that watches.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use botlike_tests::skip::{self, Kind};
use serde_json::Value;

/// Nothing here takes a tenth of it; a hang must not last for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` in a thread that has a network namespace of its own, with its loopback up; it ends with the thread. Where
/// the machine does not grant one, the test is skipped.
pub(crate) fn alone(name: &'static str, test: impl FnOnce() + Send + 'static) {
    let done = thread::spawn(move || {
        if let Err(error) = enter() {
            return skip::skip(Kind::Kernel, name, &format!("a network namespace: {error}"));
        }
        skip::ran(Kind::Kernel, name);
        test();
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

fn enter() -> io::Result<()> {
    let of = |done: i32| if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) };
    // SAFETY: each call gets valid arguments that live through it; the descriptor is closed once.
    unsafe {
        of(libc::unshare(libc::CLONE_NEWNET))?;
        let socket = of(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let done = of(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request));
        libc::close(socket);
        done.map(drop)
    }
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("botlike-live-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program with these arguments, its standard error in a file.
pub(crate) fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_botlike"));
    command.arg("watch").args(arguments).stdin(Stdio::null());
    command.stdout(File::create(folder.file("stdout")).unwrap());
    command.stderr(File::create(folder.file("stderr")).unwrap());
    command
}

/// `botlike watch` while it runs.
pub(crate) struct Watch {
    child: Child,
    said: PathBuf,
}

impl Watch {
    /// Starts it and returns when it watches.
    pub(crate) fn start(folder: &Folder, arguments: &[&str]) -> Self {
        Self::of(command(folder, arguments), folder)
    }

    pub(crate) fn of(mut command: Command, folder: &Folder) -> Self {
        let child = command.spawn().unwrap();
        let mut watch = Self { child, said: folder.file("stderr") };
        let start = Instant::now();
        while !watch.said().contains("botlike: watching ") {
            let ended = watch.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "{ended:?}: {}", watch.said());
            thread::sleep(Duration::from_millis(10));
        }
        watch
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for, so that the number is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id().cast_signed(), signal) }, 0);
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end: {}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end; how it ended and what it said.
pub(crate) fn run(mut command: Command, folder: &Folder) -> (Option<i32>, String) {
    let mut watch = Watch { child: command.spawn().unwrap(), said: folder.file("stderr") };
    let status = watch.wait();
    (status.code(), watch.said())
}

/// The lines of a file, as JSON.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many lines of a dataset there are.
pub(crate) fn count(lines: &[Value], dataset: &str) -> usize {
    lines.iter().filter(|line| line["event"]["dataset"] == format!("botlike.{dataset}")).count()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A mail server on this namespace's loopback, port 25, that takes everything. It ends with the namespace's last process.
pub(crate) fn serve() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 25)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || {
                let _ = answer(stream);
            });
        }
    });
    address
}

fn answer(stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut out = stream.try_clone()?;
    out.write_all(b"220 mx.example.net ESMTP ready\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next() {
        let line = line?;
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => out.write_all(b"250-mx.example.net\r\n250-AUTH LOGIN\r\n250 8BITMIME\r\n")?,
            "AUTH" => out.write_all(b"334 UGFzc3dvcmQ6\r\n")?,
            "RCPT" => writeln!(out, "250 2.1.5 <{}> fine\r", line.trim_end())?,
            "DATA" => {
                out.write_all(b"354 go on\r\n")?;
                for line in lines.by_ref() {
                    if line? == "." {
                        break;
                    }
                }
                out.write_all(b"250 2.0.0 taken\r\n")?;
            }
            "QUIT" => return out.write_all(b"221 bye\r\n"),
            "MAIL" | "RSET" | "NOOP" | "HELO" => out.write_all(b"250 fine\r\n")?,
            // The answer to a challenge.
            _ => out.write_all(b"235 2.7.0 welcome\r\n")?,
        }
    }
    Ok(())
}

/// Says lines to the server, each after the reply to the one before; a message's text is one of them.
pub(crate) fn talk(server: SocketAddr, said: &[&str]) {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut out = stream.try_clone().unwrap();
    let mut replies = BufReader::new(stream);
    let mut reply = || {
        loop {
            let mut line = String::new();
            assert!(replies.by_ref().take(1024).read_line(&mut line).unwrap() > 0, "cut off");
            if line.as_bytes().get(3) != Some(&b'-') {
                return;
            }
        }
    };
    reply();
    for line in said {
        out.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        reply();
    }
}

/// An ordinary letter.
pub(crate) const LETTER: &[&str] = &[
    "EHLO client.example.org",
    "MAIL FROM:<sender@example.org>",
    "RCPT TO:<receiver@example.net>",
    "DATA",
    "Subject: greetings\r\n\r\nHello.\r\n.",
    "QUIT",
];
