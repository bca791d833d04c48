//! A dialogue with secrets in all places that have some, between two threads.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// What must never be seen where `observe = metadata`.
pub(crate) const SECRETS: &[&str] = &[
    "hidden-password",
    "hidden-sender",
    "hidden-recipient",
    "hidden-subject",
    "hidden-body",
    "hidden-reply",
];

/// What is to be seen whole.
pub(crate) const OPEN: &[&str] = &[
    "220 mx.example ESMTP\r\n",
    "EHLO host.example\r\n",
    "250-mx.example\r\n250-SIZE 1000000\r\n250 STARTTLS\r\n",
    "AUTH",
];

/// Talks with a server at this address, until both are done.
pub(crate) fn talk(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    // No namespace is entered: a thread has that of the thread that begins it.
    let server = thread::spawn(move || serve(&listener.accept().unwrap().0));
    let stream = TcpStream::connect(address).unwrap();
    let mut replies = BufReader::new(&stream);
    let mut expect = |code: &str| loop {
        let mut line = String::new();
        replies.read_line(&mut line).unwrap();
        if line.starts_with(&format!("{code} ")) {
            break;
        }
    };
    expect("220");
    let body = format!(
        "Subject: hidden-subject\r\n\r\n{}\r\nEHLO hidden-body\r\n.\r\n",
        "hidden-body and more of it\r\n".repeat(3000)
    );
    for (line, code) in [
        ("EHLO host.example\r\n", "250"),
        ("NOOP\r\n", "250"),
        ("AUTH PLAIN hidden-password\r\n", "235"),
        ("MAIL FROM:<hidden-sender@host.example>\r\n", "250"),
        ("RCPT TO:<hidden-recipient@mx.example>\r\n", "250"),
        ("DATA\r\n", "354"),
        (&body, "250"),
        ("QUIT\r\n", "221"),
    ] {
        (&stream).write_all(line.as_bytes()).unwrap();
        expect(code);
    }
    server.join().unwrap();
}

fn serve(stream: &TcpStream) {
    let say = |line: &str| {
        let mut stream = stream;
        stream.write_all(line.as_bytes()).unwrap();
    };
    let mut lines = BufReader::new(stream);
    say("220 mx.example ESMTP\r\n");
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap() == 0 {
            return;
        }
        match line.get(..4).unwrap_or_default() {
            "EHLO" => say("250-mx.example\r\n250-SIZE 1000000\r\n250 STARTTLS\r\n"),
            "NOOP" => say("250 ok\r\n"),
            "AUTH" => say("235 hidden-reply\r\n"),
            "DATA" => {
                say("354 go on\r\n");
                while line != ".\r\n" {
                    line.clear();
                    lines.read_line(&mut line).unwrap();
                }
                say("250 hidden-reply\r\n");
            }
            "QUIT" => return say("221 bye\r\n"),
            _ => say("250 ok hidden-reply\r\n"),
        }
    }
}
