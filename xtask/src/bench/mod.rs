//! `cargo xtask bench …`: what reading costs, beside the peers, and what damage does.

mod captures;
mod lab;
mod pcap;

use std::process::ExitCode;

use anyhow::Result;

pub(crate) fn main(args: &[&str]) -> Result<ExitCode> {
    match args {
        ["captures", names @ ..] => {
            for capture in captures::have(names, false)? {
                println!("{}: {:?}", capture.path.display(), capture.shape);
            }
        }
        ["bulk-sink", address] => captures::bulk_sink(address)?,
        ["bulk-source", address, megabytes] => captures::bulk_source(address, megabytes.parse()?)?,
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}
