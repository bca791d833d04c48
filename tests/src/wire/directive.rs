//! What the lines that begin with `~` do; the table is in `tests/cases/README.md`.

use std::net::SocketAddr;

use super::{ACK_DELAY, MILLI, Net, SEGMENT, STEP, index};
use crate::dns;
use crate::packet::{Flags, Fragmented, LOOSE, Packet, Side};
use crate::script::{span, unescape};
use crate::tls;

impl Net {
    pub(super) fn directive(&mut self, word: &str, arguments: &str) -> Result<(), String> {
        let mut words = arguments.split_whitespace();
        let side = match words.next() {
            Some("C") => Some(Side::Client),
            Some("S") => Some(Side::Server),
            _ => None,
        };
        let whose = || side.ok_or_else(|| format!("~{word} wants C or S"));
        let number = |text: Option<&str>| -> Result<u64, String> {
            let text = text.ok_or_else(|| format!("~{word} wants a number"))?;
            text.parse().map_err(|e| format!("{text}: {e}"))
        };
        let first = arguments.split_whitespace().next();
        if word == "udp" {
            return self.datagram(arguments);
        }
        if word == "dns" {
            return self.dns(arguments);
        }
        let conn = self.conn.as_mut().ok_or("no connection")?;
        match word {
            // What shapes the connection.
            "no-handshake" => conn.handshake = true,
            "handshake" => self.handshake(),
            "one-side" => conn.shown[index(whose()?.other())] = false,
            "hide" => conn.hidden.push(match arguments {
                "syn" => "syn",
                "syn-ack" => "syn-ack",
                "ack" => "ack",
                _ => return Err("~hide wants syn, syn-ack or ack".into()),
            }),
            "syn" => conn.syns = number(first)?,
            "syn-data" => conn.syn_data = unescape(arguments)?,
            "isn" => conn.isn[index(whose()?)] = number(words.next())? as u32,
            "ttl" => conn.ttl[index(whose()?)] = number(words.next())? as u8,
            "window" => conn.window[index(whose()?)] = number(words.next())? as u16,
            "mss" => conn.mss = number(first)?.max(1) as usize,
            "vlan" => conn.vlan = Some(number(first)? as u16),
            "point" => conn.point = number(first)? as u32,
            "also" => {
                let mut words = arguments.split_whitespace().skip(1);
                let mut end = || {
                    let text = words.next()?;
                    Some(text.parse().map_err(|e| format!("{text}: {e}")))
                };
                let ends = match (end().transpose()?, arguments.contains('>')) {
                    (Some(client), true) => {
                        let server = arguments.split_once("> ").map_or("", |(_, end)| end);
                        Some([client, server.parse().map_err(|e| format!("{server}: {e}"))?])
                    }
                    (None, false) => None,
                    _ => return Err("~also wants a number, or a number and client > server".into()),
                };
                conn.also.push((number(first)? as u32, ends));
            }
            "snaplen" => conn.snap = Some(number(first)? as usize).filter(|n| *n > 0),
            "noack" => conn.acks = false,
            "acks" => conn.acks = true,
            // What holds for the next flight.
            "lost" => {
                let numbers: Result<Vec<usize>, _> =
                    arguments.split_whitespace().map(str::parse).collect();
                conn.next.lost = Some(numbers.map_err(|e| format!("{arguments}: {e}"))?);
            }
            "cut" | "order" => {
                let numbers: Result<Vec<usize>, _> =
                    arguments.split_whitespace().map(str::parse).collect();
                let numbers = numbers.map_err(|e| format!("{arguments}: {e}"))?;
                if word == "cut" { conn.next.cuts = numbers } else { conn.next.order = numbers }
            }
            "super" => conn.next.whole = true,
            "with-fin" => conn.next.fin = true,
            "frag" => {
                let size = number(first)? as usize / 8 * 8;
                let reversed = arguments.ends_with("reversed");
                conn.next.fragmented = Some(Fragmented { size: size.max(8), reversed });
            }
            "misstamp" => {
                let (sign, text) = match arguments.strip_prefix('-') {
                    Some(text) => (-1, text),
                    None => (1, arguments),
                };
                let span = span(text).ok_or_else(|| format!("no span: {text}"))?;
                conn.next.skew = sign * i64::try_from(span).map_err(|e| e.to_string())?;
            }
            "probe" => conn.probe[index(whose()?)] = true,
            // What happens now.
            "syn-fail" | "syn-refused" => {
                let count = first.map_or(Ok(1), |n| number(Some(n)))?;
                conn.handshake = true;
                self.syns(count, &[]);
                if word == "syn-refused" {
                    self.clock += STEP;
                    if let Some(packet) = self.packet(Side::Server, Flags::RST | Flags::ACK) {
                        self.show(Packet { seq: 0, ..packet });
                    }
                }
            }
            "gap" => {
                let (side, len) = (whose()?, number(words.next())?);
                self.handshake();
                self.settle(Some(side));
                self.clock += STEP;
                if let Some(conn) = &mut self.conn {
                    conn.advance(side, len);
                    conn.owes[index(side.other())] = true;
                }
            }
            "ack" => {
                let side = whose()?;
                self.clock += ACK_DELAY;
                self.bare(side, Flags::ACK);
            }
            "retransmit" => {
                let side = whose()?;
                self.settle(None);
                self.clock += 200 * MILLI;
                let again = self
                    .conn
                    .as_ref()
                    .map(|c| c.last_flight[index(side)].clone())
                    .unwrap_or_default();
                let ack = self.packet(side, Flags::ACK).map(|p| p.ack).unwrap_or_default();
                for packet in again {
                    self.clock += SEGMENT;
                    self.show(Packet { at: self.clock, ack, ..packet });
                }
            }
            "overlap" => {
                let side = whose()?;
                let back = number(words.next())?;
                let text = arguments
                    .splitn(3, ' ')
                    .nth(2)
                    .ok_or("~overlap wants side, bytes back, text")?;
                let bytes = unescape(text)?;
                self.settle(None);
                self.clock += STEP;
                if let Some(mut packet) = self.packet(side, Flags::ACK | Flags::PSH) {
                    packet.seq = packet.seq.wrapping_sub(back as u32);
                    let more = (bytes.len() as u64).saturating_sub(back);
                    self.show(Packet { payload: bytes, fixed: true, ..packet });
                    if let Some(conn) = &mut self.conn {
                        conn.advance(side, more);
                    }
                }
            }
            "keepalive" => {
                let side = whose()?;
                let bytes = words.next().map_or(Ok(0), |n| number(Some(n)))?;
                self.settle(None);
                self.clock += STEP;
                if let Some(mut packet) = self.packet(side, Flags::ACK) {
                    packet.seq = packet.seq.wrapping_sub(1);
                    self.show(Packet {
                        payload: vec![0; bytes.min(1) as usize],
                        fixed: true,
                        ..packet
                    });
                }
                self.clock += ACK_DELAY;
                self.bare(side.other(), Flags::ACK);
            }
            "tls" => {
                let bytes = tls::bytes(words.next().unwrap_or_default(), words.next())?;
                self.flight(whose()?, false, &bytes);
            }
            "fin" => self.fin(whose()?),
            "close" => {
                let side = whose()?;
                self.fin(side);
                self.fin(side.other());
                self.settle(None);
            }
            "rst" => {
                let side = whose()?;
                self.handshake();
                self.settle(Some(side));
                self.clock += STEP;
                let flags =
                    if arguments.ends_with("bare") { Flags::RST } else { Flags::RST | Flags::ACK };
                self.bare(side, flags);
                if let Some(conn) = &mut self.conn {
                    conn.owes = [false; 2];
                }
            }
            _ => return Err(format!("unknown ~{word}")),
        }
        Ok(())
    }

    fn fin(&mut self, side: Side) {
        self.handshake();
        self.settle(Some(side));
        self.clock += STEP;
        let lost = self.conn.as_mut().is_some_and(|c| c.next.lost.take().is_some());
        if lost {
            // Sent and received, but not seen.
            if let Some(conn) = &mut self.conn {
                conn.owes[index(side)] = false;
            }
        } else {
            self.bare(side, Flags::FIN | Flags::ACK);
        }
        if let Some(conn) = &mut self.conn {
            conn.advance(side, 1);
            conn.owes[index(side.other())] = true;
        }
    }

    /// A UDP datagram, as noise.
    fn datagram(&mut self, arguments: &str) -> Result<(), String> {
        let mut words = arguments.splitn(4, ' ');
        let mut end = || -> Result<SocketAddr, String> {
            let text = words.next().ok_or("~udp wants source > destination text")?;
            text.parse().map_err(|e| format!("{text}: {e}"))
        };
        let src = end()?;
        let mut rest = arguments.splitn(4, ' ').skip(1);
        let (Some(">"), Some(dst), text) = (rest.next(), rest.next(), rest.next()) else {
            return Err("~udp wants source > destination text".into());
        };
        let dst = dst.parse().map_err(|e| format!("{dst}: {e}"))?;
        self.clock += STEP;
        self.out.packets.push(Packet {
            at: self.clock,
            skew: 0,
            conn: None,
            from: Side::Client,
            src,
            dst,
            seq: 0,
            ack: 0,
            flags: Flags::empty(),
            window: 0,
            ttl: 64,
            options: Vec::new(),
            payload: unescape(text.unwrap_or_default())?,
            fragmented: None,
            snap: None,
            vlan: None,
            point: 0,
            also: Vec::new(),
            dns: None,
            fixed: true,
        });
        Ok(())
    }

    /// A DNS question, and its answer.
    fn dns(&mut self, arguments: &str) -> Result<(), String> {
        self.settle(None);
        self.questions = self.questions.wrapping_add(1);
        let exchange = dns::parse(arguments, self.questions)?;
        let (mut client, server) = (exchange.client, exchange.server);
        if client.port() == 0 {
            client.set_port(20_000 + self.questions % 20_000);
        }
        for message in [Some(exchange.question), exchange.answer].into_iter().flatten() {
            self.clock += STEP;
            let (from, src, dst) = match message.response {
                false => (Side::Client, client, server),
                true => (Side::Server, server, client),
            };
            let tcp = message.tcp;
            self.out.packets.push(Packet {
                at: self.clock,
                skew: 0,
                conn: tcp.then_some(LOOSE),
                from,
                src,
                dst,
                seq: 1,
                ack: 1,
                flags: if tcp { Flags::ACK | Flags::PSH } else { Flags::empty() },
                window: 512,
                ttl: 64,
                options: Vec::new(),
                payload: message.bytes(),
                fragmented: self.conn.as_mut().and_then(|c| c.next.fragmented.take()),
                snap: None,
                vlan: None,
                point: 0,
                also: Vec::new(),
                dns: Some(message),
                fixed: true,
            });
        }
        Ok(())
    }
}
