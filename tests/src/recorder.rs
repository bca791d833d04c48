//! A recorder between a live source and the run: what is handed over is also written, as it is, to a pcapng file, so that
//! `botlike read` of it must give the lines that the run gave.
//!
//! Written are frames with stamps, interfaces by name, captured and original lengths, and losses where they were told.
//! Time that passed beyond the last frame becomes a last frame of no interest. Not written are counts that are no packets
//! ([`Live::losses`]) and the places: lines of those speak of the sensor, not of what it saw.

use std::io::{self, Write};
use std::time::Duration;

use botlike::source::Frame;
use botlike::source::live::{Live, Losses, Places, RungError, Taker};
use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

/// A live source that is written down.
pub struct Recorder<'a, W: Write + Send> {
    source: &'a mut dyn Live,
    file: File<W>,
}

impl<'a, W: Write + Send> Recorder<'a, W> {
    /// Records what `source` hands over. Give it a buffered writer.
    ///
    /// # Errors
    /// Where the file cannot be begun.
    pub fn new(source: &'a mut dyn Live, out: W) -> io::Result<Self> {
        Ok(Self { source, file: File::new(out)? })
    }

    /// The recording's end.
    ///
    /// # Errors
    /// Where something could not be written, then or before.
    pub fn finish(self) -> io::Result<W> {
        self.file.finish()
    }
}

impl<W: Write + Send> Live for Recorder<'_, W> {
    fn next(&mut self, patience: Duration, taker: &mut dyn Taker) -> Result<(), RungError> {
        self.source.next(patience, &mut Tee { file: &mut self.file, taker })
    }

    fn losses(&mut self) -> Losses {
        self.source.losses()
    }

    fn places(&self) -> Places {
        self.source.places()
    }
}

struct Tee<'a, W: Write> {
    file: &'a mut File<W>,
    taker: &'a mut dyn Taker,
}

impl<W: Write> Taker for Tee<'_, W> {
    fn interface(&mut self, number: u32, name: &str) {
        self.file.names.retain(|(known, _)| *known != number);
        self.file.names.push((number, name.to_owned()));
        self.taker.interface(number, name);
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        self.file.frame(frame);
        self.taker.frame(frame);
    }

    fn lost(&mut self, packets: u64) {
        self.file.lost(packets);
        self.taker.lost(packets);
    }

    fn time(&mut self, at: Stamp) {
        self.file.time = self.file.time.max(at);
        self.taker.time(at);
    }

    fn places(&mut self, places: &Places) {
        self.taker.places(places);
    }
}

/// A pcapng file of one section, nanoseconds, little-endian.
struct File<W> {
    out: W,
    /// The first thing that could not be written.
    failed: Option<io::Error>,
    /// Interfaces as the source names them.
    names: Vec<(u32, String)>,
    /// Interfaces as described in the file, by their place.
    described: Vec<(u32, LinkType)>,
    /// The last packet, held back until it is known whether losses follow: then it carries them, since a reader tells of
    /// a packet's losses after the packet.
    held: Option<Held>,
    last: Stamp,
    time: Stamp,
}

struct Held {
    interface: u32,
    at: Stamp,
    data: Vec<u8>,
    orig_len: u32,
    lost: u64,
}

impl<W: Write> File<W> {
    fn new(out: W) -> io::Result<Self> {
        let mut file = Self {
            out,
            failed: None,
            names: Vec::new(),
            described: Vec::new(),
            held: None,
            last: Stamp::ZERO,
            time: Stamp::ZERO,
        };
        // Byte-order magic, version 1.0, a section of unknown length.
        let body = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        file.block(0x0a0d_0d0a, &body)?;
        Ok(file)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let total = u32::try_from(body.len().next_multiple_of(4) + 12).map_err(io::Error::other)?;
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&total.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&[0; 3][..body.len().next_multiple_of(4) - body.len()])?;
        self.out.write_all(&total.to_le_bytes())
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        self.release();
        let interface = self.interface(frame.iface, frame.link);
        self.last = frame.at;
        self.held = Some(Held {
            interface,
            at: frame.at,
            data: frame.data.to_vec(),
            orig_len: frame.orig_len,
            lost: 0,
        });
    }

    /// Before the first packet nothing is open that a loss could harm.
    fn lost(&mut self, packets: u64) {
        if let Some(held) = &mut self.held {
            held.lost += packets;
        }
    }

    /// The place of an interface in the file; described there, if it is new.
    fn interface(&mut self, number: u32, link: LinkType) -> u32 {
        let known = self.described.iter().position(|known| *known == (number, link));
        let place = known.unwrap_or_else(|| {
            self.described.push((number, link));
            let name = self.names.iter().find(|(known, _)| *known == number);
            let body = description(link, name.map(|(_, name)| name.as_str()));
            let written = self.block(1, &body);
            self.note(written);
            self.described.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Writes the packet that was held back.
    fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        let nanos = held.at.as_nanos();
        let mut body = Vec::with_capacity(held.data.len() + 40);
        let len = u32::try_from(held.data.len()).unwrap_or(u32::MAX);
        let numbers = [held.interface, (nanos >> 32) as u32, nanos as u32, len, held.orig_len];
        numbers.iter().for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
        body.extend_from_slice(&held.data);
        if held.lost > 0 {
            body.resize(body.len().next_multiple_of(4), 0);
            // epb_dropcount, and the end of the options.
            option(&mut body, 4, &held.lost.to_le_bytes());
            option(&mut body, 0, &[]);
        }
        let written = self.block(6, &body);
        self.note(written);
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    fn finish(mut self) -> io::Result<W> {
        if let Some((number, link)) = self.described.first().copied()
            && self.time > self.last
        {
            // ARP, and nothing in it.
            let mut data = [0u8; 60];
            data[12..14].copy_from_slice(&[0x08, 0x06]);
            let frame = Frame {
                at: self.time,
                link,
                iface: number,
                data: &data,
                orig_len: data.len() as u32,
            };
            self.frame(&frame);
        }
        self.release();
        self.out.flush()?;
        match self.failed {
            None => Ok(self.out),
            Some(error) => Err(error),
        }
    }
}

/// The body of an interface description block.
fn description(link: LinkType, name: Option<&str>) -> Vec<u8> {
    let link: u16 = match link {
        LinkType::Null => 0,
        LinkType::Ethernet => 1,
        LinkType::Raw => 101,
        LinkType::LinuxSll => 113,
        LinkType::LinuxSll2 => 276,
        LinkType::Other(number) => number.try_into().unwrap_or(u16::MAX),
    };
    let mut body = link.to_le_bytes().to_vec();
    body.extend_from_slice(&[0; 6]);
    if let Some(name) = name {
        option(&mut body, 2, name.as_bytes());
    }
    // if_tsresol: nanoseconds.
    option(&mut body, 9, &[9]);
    option(&mut body, 0, &[]);
    body
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use botlike::source::{Captures, Options};

    /// What a taker was told, in words.
    #[derive(Default)]
    struct Said(Vec<String>);

    impl Taker for Said {
        fn interface(&mut self, _: u32, _: &str) {}
        fn frame(&mut self, frame: &Frame<'_>) {
            self.0.push(words(frame));
        }
        fn lost(&mut self, packets: u64) {
            self.0.push(format!("lost {packets}"));
        }
        fn time(&mut self, at: Stamp) {
            self.0.push(format!("time {}", at.as_nanos()));
        }
        fn places(&mut self, _: &Places) {}
    }

    fn words(frame: &Frame<'_>) -> String {
        let Frame { at, link, iface, data, orig_len } = frame;
        format!("{} {link:?} {iface} {data:?} {orig_len}", at.as_nanos())
    }

    struct Source;

    impl Live for Source {
        fn next(&mut self, _: Duration, taker: &mut dyn Taker) -> Result<(), RungError> {
            let frame = |at: u64, iface, data: &[u8], orig_len, taker: &mut dyn Taker| {
                let at = Stamp::from_nanos(at);
                taker.frame(&Frame { at, link: LinkType::Ethernet, iface, data, orig_len });
            };
            taker.interface(0, "tap0");
            taker.interface(1, "tap1");
            frame(5_000_000_001, 0, &[1, 2, 3], 3, taker);
            taker.lost(2);
            taker.lost(3);
            frame(5_000_000_002, 1, &[4; 5], 1500, taker);
            // Backwards.
            frame(4_999_999_999, 0, &[], 60, taker);
            taker.time(Stamp::from_nanos(6_000_000_000));
            Ok(())
        }
        fn losses(&mut self) -> Losses {
            Losses::default()
        }
        fn places(&self) -> Places {
            Places::default()
        }
    }

    #[test]
    fn a_recording_says_what_the_source_said() {
        let (mut source, mut said) = (Source, Said::default());
        let mut recorder = Recorder::new(&mut source, Vec::new()).unwrap();
        recorder.next(Duration::ZERO, &mut said).unwrap();
        let bytes = recorder.finish().unwrap();
        let path = std::env::temp_dir().join(format!("recorder.{}.pcapng", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let (mut captures, errors) =
            Captures::open(std::slice::from_ref(&path), &Options::default());
        assert!(errors.is_empty(), "{errors:?}");
        let mut read = Vec::new();
        while let Some(frame) = captures.next() {
            read.push(words(&frame));
            let lost = captures.lost();
            if lost > 0 {
                read.push(format!("lost {lost}"));
            }
        }
        let names: Vec<_> = (0..2).map(|n| captures.interface_name(n).map(str::to_owned)).collect();
        assert!(captures.take_errors().is_empty());
        std::fs::remove_file(path).unwrap();
        assert_eq!(names, [Some("tap0".to_owned()), Some("tap1".to_owned())]);
        let last = read.pop().unwrap();
        assert!(last.starts_with("6000000000 Ethernet 0 [0, 0"), "{last}");
        said.0.pop();
        let lost: Vec<_> = said.0.iter().position(|word| word == "lost 2").into_iter().collect();
        said.0.splice(lost[0]..lost[0] + 2, ["lost 5".to_owned()]);
        assert_eq!(read, said.0);
    }
}
