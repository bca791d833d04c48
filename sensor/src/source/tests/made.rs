//! Captures being made.

use std::io::Write;

pub(super) fn put16(big: bool, number: u16) -> [u8; 2] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

pub(super) fn put32(big: bool, number: u32) -> [u8; 4] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

pub(super) fn put64(big: bool, number: u64) -> [u8; 8] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

/// A capture being made; remembers where each record or block ends, and whether a frame ends there.
#[derive(Clone, Default)]
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<(usize, bool)>,
    pub(super) big: bool,
    pub(super) modified: bool,
}

impl Made {
    pub(super) fn pcap(magic: u32, big: bool, link: u32) -> Self {
        let mut made = Self { big, modified: magic == 0xa1b2_cd34, ..Self::default() };
        for field in
            [put32(big, magic), [0; 4], [0; 4], [0; 4], put32(big, 65_535), put32(big, link)]
        {
            made.bytes.extend(field);
        }
        made.bytes[4..6].copy_from_slice(&put16(big, 2));
        made.bytes[6..8].copy_from_slice(&put16(big, 4));
        made.ends.push((24, false));
        made
    }

    pub(super) fn record(&mut self, seconds: u32, fraction: u32, data: &[u8], orig_len: u32) {
        for number in [seconds, fraction, data.len() as u32, orig_len] {
            self.bytes.extend(put32(self.big, number));
        }
        if self.modified {
            self.bytes.extend([2, 0, 0, 0, 8, 0, 4, 0]);
        }
        self.bytes.extend(data);
        self.ends.push((self.bytes.len(), true));
    }

    pub(super) fn block(&mut self, kind: u32, body: &[u8]) {
        let total = (body.len().next_multiple_of(4) + 12) as u32;
        self.bytes.extend(put32(self.big, kind));
        self.bytes.extend(put32(self.big, total));
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend(put32(self.big, total));
        self.ends.push((self.bytes.len(), matches!(kind, 2 | 3 | 6)));
    }

    pub(super) fn section(&mut self, big: bool) {
        self.big = big;
        let mut body = put32(big, 0x1a2b_3c4d).to_vec();
        body.extend(put16(big, 1));
        body.extend(put16(big, 0));
        body.extend(put64(big, u64::MAX));
        body.extend(self.options(&[(4, b"a tool")]));
        self.block(0x0a0d_0d0a, &body);
    }

    pub(super) fn options(&self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(put16(self.big, *code));
            bytes.extend(put16(self.big, value.len() as u16));
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            bytes.extend([0; 4]);
        }
        bytes
    }

    pub(super) fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) {
        let mut body = put16(self.big, link).to_vec();
        body.extend([0; 2]);
        body.extend(put32(self.big, snaplen));
        body.extend(self.options(options));
        self.block(1, &body);
    }

    pub(super) fn enhanced(
        &mut self,
        iface: u32,
        ticks: u64,
        data: &[u8],
        orig_len: u32,
        options: &[(u16, &[u8])],
    ) {
        let mut body = Vec::new();
        for number in [iface, (ticks >> 32) as u32, ticks as u32, data.len() as u32, orig_len] {
            body.extend(put32(self.big, number));
        }
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(self.options(options));
        self.block(6, &body);
    }

    pub(super) fn obsolete(
        &mut self,
        iface: u16,
        drops: u16,
        ticks: u64,
        data: &[u8],
        orig_len: u32,
    ) {
        let mut body = put16(self.big, iface).to_vec();
        body.extend(put16(self.big, drops));
        for number in [(ticks >> 32) as u32, ticks as u32, data.len() as u32, orig_len] {
            body.extend(put32(self.big, number));
        }
        body.extend(data);
        self.block(2, &body);
    }

    pub(super) fn simple(&mut self, orig_len: u32, data: &[u8]) {
        let mut body = put32(self.big, orig_len).to_vec();
        body.extend(data);
        self.block(3, &body);
    }

    pub(super) fn statistics(&mut self, iface: u32, options: &[(u16, &[u8])]) {
        let mut body = put32(self.big, iface).to_vec();
        body.extend([0; 8]);
        body.extend(self.options(options));
        self.block(5, &body);
    }
}

pub(super) const PCAP_VARIANTS: [(u32, bool); 6] = [
    (0xa1b2_c3d4, false),
    (0xa1b2_c3d4, true),
    (0xa1b2_3c4d, false),
    (0xa1b2_3c4d, true),
    (0xa1b2_cd34, false),
    (0xa1b2_cd34, true),
];

/// Three records; the second has its time before the first, the last is empty.
pub(super) fn small_pcap(magic: u32, big: bool) -> Made {
    let mut made = Made::pcap(magic, big, 1);
    made.record(1_700_000_000, 999_999, b"first frame", 1514);
    made.record(1_699_999_999, 0, b"x", 1);
    made.record(u32::MAX, 7, b"", 0);
    made
}

/// Two sections of different byte order with all kinds of blocks.
pub(super) fn small_pcapng() -> Made {
    let mut made = Made::default();
    made.section(false);
    made.interface(1, 0, &[(2, b"eth0"), (9, &[9])]);
    made.interface(113, 65_535, &[(2, b"any\0pad"), (9, &[6])]);
    made.enhanced(0, 1_700_000_000_000_000_001, b"nano", 60, &[]);
    made.block(4, b"names, of no interest");
    made.enhanced(
        1,
        1_700_000_000_000_002,
        b"micros",
        6,
        &[(1, b"a comment"), (4, &5_u64.to_le_bytes())],
    );
    made.simple(9, b"simple, of which nine"[..9].as_ref());
    made.statistics(
        1,
        &[(4, &100_u64.to_le_bytes()), (5, &3_u64.to_le_bytes()), (7, &4_u64.to_le_bytes())],
    );
    made.section(true);
    made.interface(1, 4, &[(2, b"eth0"), (9, &[0x80 | 10])]);
    made.interface(101, 0, &[(2, b"tun0"), (14, &(-3600_i64).to_be_bytes())]);
    made.enhanced(0, 1_700_000_000 << 10 | 512, b"half", 4, &[]);
    made.obsolete(1, 2, 1_700_003_600_000_000, b"obsolete", 8);
    made.obsolete(1, u16::MAX, 1_700_003_600_000_001, b"unknown drops", 13);
    made.simple(100, b"cut!");
    made.block(0x4000_0001, &[0xff; 1000]);
    made
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
