//! `botlike-demo-capture OUT.pcap`: writes the capture that the demo replays, always the same.

use std::path::Path;
use std::process::ExitCode;

use botlike_tests::variant::Variant;
use botlike_tests::{pcap, script, wire};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: botlike-demo-capture OUT.pcap");
        return ExitCode::from(2);
    };
    let made = script::parse(include_str!("../../demo.smtp"))
        .and_then(|s| wire::play(&s))
        .and_then(|played| {
            pcap::save(Path::new(&path), &Variant::Plain.frames(&played.packets, 0))
                .map_err(|e| e.to_string())
        });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("botlike-demo-capture: {error}");
            ExitCode::FAILURE
        }
    }
}
