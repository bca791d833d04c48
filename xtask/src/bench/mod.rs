//! `cargo xtask bench …`: what reading and watching cost, beside the peers, and what damage does.

mod captures;
mod damage;
mod flows;
mod lab;
mod live;
mod measure;
mod pcap;
mod peers;
mod report;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

pub(crate) fn main(args: &[&str]) -> Result<ExitCode> {
    match args {
        ["bulk-sink", address] => return captures::bulk_sink(address).map(|()| ExitCode::SUCCESS),
        ["bulk-source", address, megabytes, chunk] => {
            return captures::bulk_source(address, megabytes.parse()?, chunk.parse()?)
                .map(|()| ExitCode::SUCCESS);
        }
        ["mail-source", args @ ..] => {
            return live::mail_source(args).map(|()| ExitCode::SUCCESS);
        }
        ["live", args @ ..] => return live::main(args).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    let mut rounds = 5;
    let mut quick = false;
    let mut names = Vec::new();
    let mut rest = args.iter();
    while let Some(&arg) = rest.next() {
        match arg {
            "--rounds" => {
                rounds = rest
                    .next()
                    .and_then(|n| n.parse().ok())
                    .filter(|n| *n > 0)
                    .context("--rounds needs a number")?
            }
            "--quick" => quick = true,
            _ if arg.starts_with('-') => bail!("bench does not know {arg:?}"),
            _ => names.push(arg),
        }
    }
    let rounds = if quick { 1 } else { rounds };
    match names[..] {
        ["captures", ref names @ ..] => {
            for capture in captures::have(names, quick)? {
                println!("{}: {:?}", capture.path.display(), capture.shape);
            }
        }
        ["damage"] => {
            if !damage::main(quick)? {
                bail!("damage costs more than is promised: see the page");
            }
        }
        ["flows"] => println!("{:?}", flows::measure(rounds, quick)?),
        _ => reading(args, &names, rounds, quick)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads every capture with every program in turn, and writes the page.
fn reading(args: &[&str], names: &[&str], rounds: usize, quick: bool) -> Result<()> {
    let captures = captures::have(names, quick)?;
    let peers = peers::all()?;
    let out = captures::folder().join("run.out");
    let mut runs = vec![vec![Vec::new(); peers.len()]; captures.len()];
    for round in 1..=rounds {
        for (capture, runs) in captures.iter().zip(&mut runs) {
            eprintln!("bench: round {round} of {rounds}, {}", capture.recipe.name);
            // Nobody waits for the disk.
            pcap::Shape::of(&capture.path)?;
            for (peer, runs) in peers.iter().zip(runs.iter_mut()) {
                let Some(mut command) = peer.command(&capture.path) else { continue };
                runs.push(
                    measure::run(&mut command, &out).with_context(|| {
                        format!("{} reading {}", peer.name, capture.recipe.name)
                    })?,
                );
                if peer.name == peers::BOTLIKE {
                    sessions_found(&out, capture)?;
                }
            }
        }
    }
    // Of some captures only: a look, not the whole page.
    let whole = names.is_empty() && !quick;
    let flows = if names.is_empty() { Some(flows::measure(rounds, quick)?) } else { None };
    let command = ["cargo xtask bench", &args.join(" ")].join(" ").trim().to_owned();
    let results =
        report::Results { command, rounds, captures: &captures, peers: &peers, runs, flows };
    if !whole {
        println!("{}", results.part());
        return Ok(());
    }
    report::renew(report::Part::Reading, &results.part())
}

/// A reader that is fast because it overlooks what it reads is not measured.
fn sessions_found(out: &Path, capture: &captures::Capture) -> Result<()> {
    use std::io::BufRead as _;
    let lines = std::io::BufReader::new(std::fs::File::open(out)?).lines();
    let mut found = 0;
    for line in lines {
        found += u64::from(line?.contains("\"dataset\":\"botlike.session\""));
    }
    if found != capture.shape.sessions {
        bail!(
            "botlike found {found} of {} sessions in {}",
            capture.shape.sessions,
            capture.recipe.name
        );
    }
    Ok(())
}
