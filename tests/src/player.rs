//! The sensor under test, as narrow as the cases need it. Everything that ties the cases to the program is in this file.

use std::path::PathBuf;

/// Takes frames and gives lines.
pub trait Player {
    /// A frame: its stamp in nanoseconds since the epoch, the number of its link type, what was captured of it, and how
    /// long it was.
    fn frame(&mut self, at_nanos: u64, link: u32, data: &[u8], orig_len: u32);
    /// The input ended: every line, as JSON.
    fn finish(self: Box<Self>) -> Vec<u8>;
}

/// Whether a sensor is bound; without one the cases are only checked for themselves.
pub const BOUND: bool = false;

/// A sensor with this configuration (TOML) and so many workers.
pub fn open(config: &str, workers: usize) -> Result<Box<dyn Player>, String> {
    let _ = (config, workers);
    Ok(Box::new(Nobody))
}

/// What `botlike read` writes for these captures, and whether it met an error on the way.
pub fn read(captures: &[PathBuf], workers: usize) -> Result<(Vec<u8>, bool), String> {
    let _ = (captures, workers);
    Ok((Vec::new(), false))
}

/// The detections that the sensor has, by id.
pub fn detections() -> Vec<&'static str> {
    vec![
        "helo.bare_ip",
        "helo.literal_mismatch",
        "helo.literal_private",
        "helo.unqualified",
        "helo.localhost",
        "helo.varies_per_ip",
        "helo.dynamic_pattern",
        "session.pregreet",
        "session.no_quit",
        "session.hold_open",
        "session.empty_connect",
        "fanout.dst_ips",
        "fanout.syn_fail_ratio",
        "dialect.ignores_starttls",
    ]
}

struct Nobody;

impl Player for Nobody {
    fn frame(&mut self, _at_nanos: u64, _link: u32, _data: &[u8], _orig_len: u32) {}

    fn finish(self: Box<Self>) -> Vec<u8> {
        Vec::new()
    }
}
