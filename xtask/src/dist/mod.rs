//! `cargo xtask dist`: what is handed out. A static program, a Debian package and an RPM, with their checksums.
//!
//! Everything is made of one binary: musl, without libpcap, so that it runs on any Linux of its architecture. What the
//! packages hold is gathered in `TARGET/dist/stage` first; `deploy/packages.toml` says where each file goes. The packagers
//! (cargo-deb, cargo-generate-rpm) are built once, into `TARGET/tools`.

mod elf;
mod licences;
mod stage;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{run, setup};

/// What is built for.
const TARGET: &str = "x86_64-unknown-linux-musl";
/// The packagers. Compression is xz's or gzip's own: cargo-deb needs no library for it.
const DEB: Packager = Packager {
    name: "cargo-deb",
    version: "3.8.0",
    features: &["--no-default-features", "--features=gzip"],
};
const RPM: Packager = Packager { name: "cargo-generate-rpm", version: "0.21.1", features: &[] };

/// A program that makes packages.
struct Packager {
    name: &'static str,
    version: &'static str,
    features: &'static [&'static str],
}

/// Who answers for packages that somebody made for himself.
const MAINTAINER: &str = "The botlike authors <botlike@localhost>";

/// How much is wanted.
struct Options {
    dev: bool,
    maintainer: String,
}

pub(crate) fn main(args: &[&str]) -> Result<ExitCode> {
    let mut options = Options { dev: false, maintainer: MAINTAINER.into() };
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        match arg {
            "--dev" => options.dev = true,
            "--maintainer" => {
                let who = args.next().context("--maintainer needs \"NAME <ADDRESS>\"")?;
                options.maintainer = (*who).to_owned();
            }
            _ => bail!("dist does not know {arg:?}"),
        }
    }
    for file in make(&options)? {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A Debian package of the development build, for the test that installs it.
pub(crate) fn for_tests() -> Result<PathBuf> {
    let made = make(&Options { dev: true, maintainer: MAINTAINER.into() })?;
    let deb = made.into_iter().find(|file| file.extension().is_some_and(|kind| kind == "deb"));
    deb.context("cargo-deb made no package")
}

/// Makes all, and returns the files.
fn make(options: &Options) -> Result<Vec<PathBuf>> {
    let mut folder = run::target().join("dist");
    if options.dev {
        folder.push("dev");
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let version = version()?;
    let stage = folder.join("stage");
    let program = build(options.dev)?;
    stage::gather(&program, &stage, &version, &options.maintainer)?;

    let mut made = Vec::new();
    let binary = folder.join(format!("botlike-{version}-x86_64-linux"));
    std::fs::copy(stage.join("bin/botlike"), &binary)?;
    made.push(binary);
    made.push(deb(&stage, &folder, &version, options)?);
    if !options.dev {
        made.push(rpm(&stage, &folder, &version)?);
    }
    checksums(&folder, &made)?;
    made.push(folder.join("SHA256SUMS"));
    Ok(made)
}

/// The static program, and a check that it is one.
fn build(dev: bool) -> Result<PathBuf> {
    setup::static_toolchain(TARGET)?;
    let profile = if dev { "dev" } else { "release" };
    eprintln!("dist: building the static program ({profile})");
    run::run(
        run::cargo().args(["build", "--quiet", "--package", "botlike", "--bin", "botlike"]).args([
            "--no-default-features",
            "--target",
            TARGET,
            "--profile",
            profile,
        ]),
    )?;
    let folder = if dev { "debug" } else { "release" };
    let program = run::target().join(TARGET).join(folder).join("botlike");
    let bytes =
        std::fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    if let Some(wrong) = elf::not_static(&bytes) {
        bail!("{} is not static: {wrong}", program.display());
    }
    Ok(program)
}

fn deb(stage: &Path, folder: &Path, version: &str, options: &Options) -> Result<PathBuf> {
    let tool = DEB.program()?;
    let file = folder.join(format!("botlike_{version}-1_amd64.deb"));
    let mut command = packaging(&tool, stage)?;
    command.arg("--manifest-path").arg(stage.join("Cargo.toml"));
    command
        .args(["--no-build", "--no-strip", "--target", TARGET, "--quiet", "--output"])
        .arg(&file);
    if options.dev {
        command.args(["--compress-type", "gz", "--fast"]);
    } else if run::which("xz").is_some() {
        command.arg("--compress-system");
    } else {
        command.args(["--compress-type", "gz"]);
    }
    command.arg("--maintainer").arg(&options.maintainer);
    run::output(&mut command)?;
    Ok(file)
}

fn rpm(stage: &Path, folder: &Path, version: &str) -> Result<PathBuf> {
    let tool = RPM.program()?;
    let file = folder.join(format!("botlike-{version}-1.x86_64.rpm"));
    let mut command = packaging(&tool, stage)?;
    command.arg("generate-rpm").args(["--arch", "x86_64", "--output"]).arg(&file);
    run::output(&mut command)?;
    Ok(file)
}

/// A packager's command: it works in the stage, and dates what it makes by the last commit, so that two runs agree.
fn packaging(tool: &Path, stage: &Path) -> Result<Command> {
    let mut command = Command::new(tool);
    command.current_dir(stage).env("SOURCE_DATE_EPOCH", stage::date()?.to_string());
    // The stage is a project of its own, and what is built is decided here.
    command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR");
    Ok(command)
}

impl Packager {
    /// Where it is, built once.
    fn program(&self) -> Result<PathBuf> {
        let home = run::target().join("tools");
        let program = home.join("bin").join(self.name);
        let right = run::output(Command::new(&program).arg("--version"))
            .is_ok_and(|said| said.split_whitespace().any(|word| word == self.version));
        if !right {
            eprintln!("dist: building {} {} (once; a few minutes)", self.name, self.version);
            let mut cargo = run::cargo();
            cargo.args(["install", "--quiet", "--debug", "--locked", "--force"]);
            cargo.arg("--root").arg(&home).arg("--target-dir").arg(home.join("build"));
            run::run(cargo.args(["--version", self.version]).args(self.features).arg(self.name))?;
        }
        Ok(program)
    }
}

fn checksums(folder: &Path, files: &[PathBuf]) -> Result<()> {
    let names = files.iter().filter_map(|file| file.file_name());
    let sums = run::output(Command::new("sha256sum").current_dir(folder).args(names))?;
    std::fs::write(folder.join("SHA256SUMS"), sums)?;
    Ok(())
}

/// The version that Cargo.toml gives.
fn version() -> Result<String> {
    let id = run::output(run::cargo().args(["pkgid", "--package", "botlike"]))?;
    let version = id.trim().rsplit(['#', '@']).next().unwrap_or_default();
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        bail!("`cargo pkgid` says {id:?}, which has no version");
    }
    Ok(version.to_owned())
}
