//! DNS questions and answers as a case writes them, and their bytes (RFC 1035). Written for itself: it never calls the
//! sensor's reader.
//!
//! ```text
//! ~dns CLIENT > SERVER [tcp] [iterative] TYPE NAME                              a question
//! ~dns CLIENT > SERVER … TYPE NAME = [OWNER] TYPE DATA; [OWNER] TYPE DATA …     a question and its answer
//! ~dns CLIENT > SERVER … TYPE NAME = nxdomain | servfail | refused | nothing    the same without records
//! ```

use std::net::{IpAddr, SocketAddr};

use crate::frame::map_v6;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: u16,
    /// An answer.
    pub response: bool,
    /// RD.
    pub recursion: bool,
    /// What became of it.
    pub rcode: u8,
    /// Over TCP, its length before it.
    pub tcp: bool,
    /// What is asked.
    pub name: String,
    /// The type that is asked for.
    pub kind: u16,
    /// The answer's records.
    pub records: Vec<Record>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: String,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    Addr(IpAddr),
    /// A mail exchanger.
    Mx(u16, String),
    /// An alias.
    Cname(String),
    /// Anything.
    Txt(String),
}

/// A question, and its answer where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Who asks; port 0 where the script leaves it open.
    pub client: SocketAddr,
    /// Who is asked.
    pub server: SocketAddr,
    /// The question.
    pub question: Message,
    /// The answer.
    pub answer: Option<Message>,
}

const KINDS: [(&str, u16); 6] =
    [("A", 1), ("NS", 2), ("CNAME", 5), ("MX", 15), ("TXT", 16), ("AAAA", 28)];

fn kind(word: &str) -> Option<u16> {
    KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
}

fn end(text: &str, port: u16) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|addr| SocketAddr::new(addr, port)))
        .map_err(|e| format!("{text}: {e}"))
}

/// Reads what stands behind `~dns`.
pub fn parse(text: &str, id: u16) -> Result<Exchange, String> {
    const WANTED: &str = "~dns wants CLIENT > SERVER [tcp] [iterative] TYPE NAME [= ANSWER]";
    let (asked, answered) = match text.split_once(" =") {
        Some((asked, answered)) => (asked, Some(answered.trim())),
        None => (text, None),
    };
    let mut words = asked.split_whitespace();
    let mut next = || words.next().ok_or(WANTED);
    let client = end(next()?, 0)?;
    if next()? != ">" {
        return Err(WANTED.into());
    }
    let server = end(next()?, 53)?;
    let (mut tcp, mut recursion) = (false, true);
    let kind_asked = loop {
        match next()? {
            "tcp" => tcp = true,
            "iterative" => recursion = false,
            word => break kind(word).ok_or_else(|| format!("{word}: no type of record"))?,
        }
    };
    let name = next()?.to_owned();
    let question = Message {
        id,
        response: false,
        recursion,
        rcode: 0,
        tcp,
        name,
        kind: kind_asked,
        records: Vec::new(),
    };
    let answer = answered.map(|text| {
        let mut answer = Message { response: true, ..question.clone() };
        match text {
            "nothing" => {}
            "nxdomain" => answer.rcode = 3,
            "servfail" => answer.rcode = 2,
            "refused" => answer.rcode = 5,
            records => {
                for text in records.split(';') {
                    answer.records.push(record(text, &question.name)?);
                }
            }
        }
        Ok::<_, String>(answer)
    });
    Ok(Exchange { client, server, question, answer: answer.transpose()? })
}

fn record(text: &str, asked: &str) -> Result<Record, String> {
    let bad = || format!("{text}: expected [OWNER] A ADDRESS, MX PREFERENCE NAME, CNAME NAME");
    let words: Vec<&str> = text.split_whitespace().collect();
    let (owner, rest) = match words.as_slice() {
        [first, ..] if kind(first).is_some() => (asked, &words[..]),
        [owner, rest @ ..] => (*owner, rest),
        [] => return Err(bad()),
    };
    let data = match rest {
        ["A" | "AAAA", addr] => Data::Addr(addr.parse().map_err(|_| bad())?),
        ["MX", preference, name] => {
            Data::Mx(preference.parse().map_err(|_| bad())?, (*name).to_owned())
        }
        ["CNAME", name] => Data::Cname((*name).to_owned()),
        ["TXT", text] => Data::Txt((*text).to_owned()),
        _ => return Err(bad()),
    };
    Ok(Record { owner: owner.to_owned(), data })
}

impl Message {
    /// The same with every IPv4 address mapped.
    pub fn to_v6(&self) -> Self {
        let mut mapped = self.clone();
        for record in &mut mapped.records {
            if let Data::Addr(IpAddr::V4(v4)) = record.data {
                record.data = Data::Addr(map_v6(v4).into());
            }
        }
        if mapped.kind == 1 {
            mapped.kind = 28;
        }
        mapped
    }

    /// Its bytes. Owners that are the name asked for are written as pointers to it, others in full.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.id.to_be_bytes());
        out.push(if self.response { 0x80 } else { 0 } | u8::from(self.recursion));
        out.push(if self.response { 0x80 } else { 0 } | self.rcode);
        let asked = |r: &&Record| r.owner == self.name || matches!(r.data, Data::Cname(_));
        let aliases: Vec<&str> = self
            .records
            .iter()
            .filter_map(|r| match &r.data {
                Data::Cname(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let is_answer = |r: &&Record| asked(r) || aliases.contains(&r.owner.as_str());
        let (answers, others): (Vec<&Record>, Vec<&Record>) =
            self.records.iter().partition(is_answer);
        for count in [1, answers.len(), 0, others.len()] {
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        name(&mut out, &self.name);
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        for record in answers.into_iter().chain(others) {
            if record.owner == self.name {
                out.extend_from_slice(&[0xc0, 12]);
            } else {
                name(&mut out, &record.owner);
            }
            let mut data = Vec::new();
            let kind: u16 = match &record.data {
                Data::Addr(IpAddr::V4(v4)) => {
                    data.extend_from_slice(&v4.octets());
                    1
                }
                Data::Addr(IpAddr::V6(v6)) => {
                    data.extend_from_slice(&v6.octets());
                    28
                }
                Data::Mx(preference, exchange) => {
                    data.extend_from_slice(&preference.to_be_bytes());
                    name(&mut data, exchange);
                    15
                }
                Data::Cname(alias) => {
                    name(&mut data, alias);
                    5
                }
                Data::Txt(text) => {
                    data.push(text.len() as u8);
                    data.extend_from_slice(text.as_bytes());
                    16
                }
            };
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(&data);
        }
        if self.tcp {
            out.splice(0..0, (out.len() as u16).to_be_bytes());
        }
        out
    }
}

fn name(out: &mut Vec<u8>, text: &str) {
    for label in text.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len().min(63) as u8);
        out.extend_from_slice(&label.as_bytes()[..label.len().min(63)]);
    }
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_read() {
        let text = "192.0.2.10 > 192.0.2.53 tcp MX example.net = MX 10 mx.example.net; mx.example.net A 198.51.100.7";
        let exchange = parse(text, 7).unwrap();
        assert_eq!((exchange.client.port(), exchange.server.port()), (0, 53));
        assert!(exchange.question.tcp && exchange.question.recursion);
        let answer = exchange.answer.unwrap();
        assert_eq!((answer.kind, answer.id, answer.records.len()), (15, 7, 2));
        assert_eq!(answer.records[0].owner, "example.net");
        let none = parse("192.0.2.10:4000 > 192.0.2.53 iterative A x.example = nxdomain", 1);
        assert_eq!(none.unwrap().answer.map(|a| (a.rcode, a.recursion)), Some((3, false)));
        for bad in ["", "192.0.2.10 192.0.2.53 A x", "192.0.2.10 > 192.0.2.53 B x"] {
            assert!(parse(bad, 0).is_err(), "{bad}");
        }
        assert!(parse("192.0.2.10 > 192.0.2.53 A x = A", 0).is_err());
    }

    #[test]
    fn the_bytes_are_those_of_rfc_1035() {
        let exchange = parse("192.0.2.10 > 192.0.2.53 A a.b = A 192.0.2.1", 0x0102).unwrap();
        assert_eq!(
            exchange.question.bytes(),
            b"\x01\x02\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x01\0\x01"
        );
        let expected: &[u8] = b"\x01\x02\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x01b\0\0\x01\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01";
        assert_eq!(exchange.answer.unwrap().bytes(), expected);
    }
}
