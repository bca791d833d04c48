//! `mta-lab`: the inside of the laboratory of mail servers. The test `mta` starts it in namespaces of its own; by hand
//! it does nothing.

use std::path::Path;
use std::process::ExitCode;

use botlike_tests::mta::plan::{Mta, Scene};
use botlike_tests::mta::{live, world};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        // The first process of a process namespace, or it would furnish the machine itself.
        ["world", root, scene] if std::process::id() == 1 => match Scene::from_name(scene) {
            Some(scene) => world::play(Path::new(root), scene),
            None => Err(format!("no scene {scene}")),
        },
        ["submit", mta, scene] => match (Mta::from_name(mta), Scene::from_name(scene)) {
            (Some(mta), Some(scene)) => {
                println!("{}", world::submit(mta, scene));
                Ok(())
            }
            _ => Err("no such server or scene".to_owned()),
        },
        ["sensor", lines] => return live::watch(Path::new(lines)),
        ["probe"] if world::probe() => Ok(()),
        ["probe"] => Err("no greeting".to_owned()),
        _ => Err("started by the test `mta`, not by hand".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mta-lab: {error}");
            ExitCode::FAILURE
        }
    }
}
