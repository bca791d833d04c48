//! Names: the laboratory's server, over UDP and TCP, and the questions of its guests.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use super::plan;
use crate::mta::dns;

pub use crate::mta::dns::{A, MX};

/// Its answer does not fit into a datagram: asked for by TCP.
pub const LONG: u8 = 3;

/// Serves an address from threads of the calling thread's network.
///
/// # Errors
/// Where the port cannot be had.
pub fn serve(address: Ipv4Addr) -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, 53))?;
    let listener = TcpListener::bind(SocketAddrV4::new(address, 53))?;
    thread::Builder::new().stack_size(plan::STACK).spawn(move || {
        let mut buffer = [0u8; 1500];
        loop {
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(query) = buffer.get(..len) else { continue };
            let Some(mut reply) = dns::answer(query, look_up) else { continue };
            if query.windows(4).any(|part| part == format!("\x03r{LONG:02}").as_bytes()) {
                // Truncated, and nothing but the question.
                reply.truncate(len);
                reply[2] |= 2;
                reply[7] = 0;
            }
            // A lost answer is asked for again.
            let _ = socket.send_to(&reply, from);
        }
    })?;
    thread::Builder::new().stack_size(plan::STACK).spawn(move || {
        for mut tcp in listener.incoming().flatten() {
            // What a caller breaks off is the caller's affair.
            let _ = (|| {
                tcp.set_read_timeout(Some(Duration::from_secs(2)))?;
                let mut len = [0; 2];
                tcp.read_exact(&mut len)?;
                let mut query = vec![0; u16::from_be_bytes(len).into()];
                tcp.read_exact(&mut query)?;
                let reply = dns::answer(&query, look_up).unwrap_or_default();
                tcp.write_all(&framed(&reply))
            })();
        }
    })?;
    Ok(())
}

/// Whether anybody has that name, and the record of that kind.
fn look_up(name: &str, kind: u16) -> (bool, Option<Vec<u8>>) {
    let domain = name.strip_prefix("mx.").unwrap_or(name);
    let index = (0..plan::RECEIVERS).find(|index| plan::domain(*index) == domain);
    if let Some(index) = index {
        let record = match kind {
            A if domain != name => Some(plan::receiver(index).octets().to_vec()),
            MX if domain == name => {
                Some([&[0, 10][..], &dns::encode(&plan::exchanger(index))].concat())
            }
            _ => None,
        };
        return (true, record);
    }
    let address = match name {
        "submit.provider.example.com" => plan::SUBMISSION,
        _ if name.starts_with("www.") => Ipv4Addr::new(198, 51, 100, 80),
        _ => return (false, None),
    };
    (true, (kind == A).then(|| address.octets().to_vec()))
}

/// A question, recursion desired.
pub fn query(number: u16, name: &str, kind: u16) -> Vec<u8> {
    let [a, b] = number.to_be_bytes();
    let mut query = vec![a, b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(&dns::encode(name));
    query.extend_from_slice(&kind.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query
}

/// As TCP wants it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(0);
    [&len.to_be_bytes(), message].concat()
}

/// Whether an answer says that it is incomplete.
pub fn is_cut_short(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 2 != 0)
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    Address(Ipv4Addr),
    /// The name of an exchanger.
    Name(String),
}

/// The record of an answer of the laboratory's server, which has one at most.
pub fn record(answer: &[u8], kind: u16) -> Option<Record> {
    if *answer.get(7)? == 0 {
        return None;
    }
    let (_, rest) = name(answer.get(12..)?)?;
    // Type and class of the question; pointer, type, class, time to live, length of the answer.
    let data = rest.get(4 + 12..)?;
    if kind == A {
        return data.first_chunk::<4>().map(|octets| Record::Address(Ipv4Addr::from(*octets)));
    }
    name(data.get(2..)?).map(|(name, _)| Record::Name(name))
}

fn name(mut rest: &[u8]) -> Option<(String, &[u8])> {
    let mut labels = Vec::new();
    loop {
        let (&len, tail) = rest.split_first()?;
        if len == 0 {
            return Some((labels.join("."), tail));
        }
        let (label, tail) = tail.split_at_checked(len.into())?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_and_answers_read() {
        for (name, kind, record) in [
            ("r07.example.net", MX, Some(Record::Name("mx.r07.example.net".to_owned()))),
            ("mx.r07.example.net", A, Some(Record::Address(plan::receiver(7)))),
            ("mx.r07.example.net", MX, None),
            ("r99.example.net", MX, None),
        ] {
            let answer = dns::answer(&query(7, name, kind), look_up).expect("an answer");
            assert_eq!(super::record(&answer, kind), record, "{name}");
        }
    }
}
