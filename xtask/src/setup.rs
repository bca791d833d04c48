//! What building the program needs besides Rust: a C compiler and libpcap's development files.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run;

/// Makes sure that the program can be built: installs what is missing with apt where that is possible (root, Debian's
/// kind of machine), otherwise names the one line that does it.
pub(crate) fn build_libraries() -> Result<()> {
    toolchain(&["-lpcap"])
}

/// The same for building it without libpcap.
pub(crate) fn compiler() -> Result<()> {
    toolchain(&[])
}

fn toolchain(libraries: &[&str]) -> Result<()> {
    let mut missing = Vec::new();
    if !links(&[]) {
        missing.extend(["gcc", "libc6-dev"]);
    }
    if !links(libraries) && libraries.contains(&"-lpcap") {
        missing.push("libpcap-dev");
    }
    install(&missing, "building botlike")
}

/// Makes sure that a static program can be built for `target`: its standard library, and a C compiler for musl.
pub(crate) fn static_toolchain(target: &str) -> Result<()> {
    compiler()?;
    let library = run::output(run::rustc().args(["--print", "target-libdir", "--target", target]))?;
    if !Path::new(library.trim()).is_dir() {
        if run::which("rustup").is_none() {
            bail!(
                "building for {target} needs its standard library, e.g. `rustup target add {target}`"
            );
        }
        eprintln!("xtask: adding the target {target} with rustup");
        run::run(Command::new("rustup").current_dir(run::root()).args(["target", "add", target]))?;
    }
    if run::which("musl-gcc").is_none() {
        install(&["musl-tools"], "building a static botlike")?;
    }
    Ok(())
}

/// Installs Debian packages, or says which line does.
fn install(missing: &[&str], what: &str) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !run::is_root() || run::which("apt-get").is_none() {
        bail!("{what} needs {packages}; this installs it:\n  sudo apt-get install -y {packages}");
    }
    eprintln!("xtask: installing {packages} (needed for {what}) with apt-get");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
        command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(args);
        run::run(&mut command)
    };
    // An update that fails (one of several sources is away, another apt-get runs) need not matter: the install tells.
    let updated = apt(&["update"]);
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(missing);
    match (apt(&install), updated) {
        (Ok(()), _) => Ok(()),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(update)) => bail!("{error:#} (and before it {update:#})"),
    }
}

/// Whether `cc` links an empty program with these arguments.
fn links(args: &[&str]) -> bool {
    let mut cc = Command::new("cc");
    cc.args(["-x", "c", "-", "-o", "/dev/null"]).args(args);
    let Ok(mut child) =
        cc.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    else {
        return false;
    };
    let written = child
        .stdin
        .take()
        .is_some_and(|mut pipe| pipe.write_all(b"int main(void){return 0;}\n").is_ok());
    child.wait().is_ok_and(|status| written && status.success())
}
