//! `cargo xtask probe`: the kernel probe, from its sources to the object that is committed.
//!
//! Building the program needs the committed object and stable Rust only. Building the object needs rustup with a nightly
//! toolchain; its own LLVM serves the linker, which is built once under the target directory. Beside the object stands what it
//! was built from, so that anybody can tell without any of this whether it is stale.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::run;

/// The object and what it was built from, as committed.
const OBJECT: &str = "sensor/probe/botlike.bpf.o";
const SUM: &str = "sensor/probe/botlike.bpf.sum";
/// Where the sources lie.
const SOURCES: &str = "sensor-ebpf";
/// The linker, whose version is a part of what the object is built from.
const LINKER: &str = "0.13.0";
/// How the compiler is called, remapped paths aside.
const FLAGS: [&str; 6] = [
    "-Clinker=bpf-linker",
    "-Clink-arg=--btf",
    "-Cdebuginfo=2",
    "-Clto=off",
    "-Copt-level=3",
    "-Ccodegen-units=1",
];
/// The crates from outside that are compiled into it begin so.
const CRATES: &str = "aya-ebpf";

pub(crate) fn main(args: &[&str]) -> Result<ExitCode> {
    match args {
        [] => {
            let built = build()?;
            std::fs::copy(&built.object, run::root().join(OBJECT))?;
            let sum = format!("{}{}", built.made_by, inputs()?);
            std::fs::write(run::root().join(SUM), sum)?;
            println!("probe: {OBJECT} is new");
        }
        ["--check"] => {
            let built = build()?;
            fresh()?;
            let committed = std::fs::read_to_string(run::root().join(SUM))?;
            if !committed.starts_with(&built.made_by_tools) {
                println!(
                    "probe: built by another compiler than the committed one, so their bytes are not compared"
                );
            } else if !committed.starts_with(&built.made_by) {
                bail!("the object that was built now differs from {OBJECT}");
            } else {
                println!("probe: the same as {OBJECT}");
            }
            println!("probe: {}", built.object.display());
        }
        _ => bail!("probe does not know {:?}", args.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// An error where the committed object was not built from the sources that are there.
pub(crate) fn fresh() -> Result<()> {
    let committed = std::fs::read_to_string(run::root().join(SUM))
        .with_context(|| format!("{SUM}; `cargo xtask probe` writes it"))?;
    let object = hash(&run::root(), &[OBJECT.to_owned()])?.concat();
    if !committed.contains(&format!("object {object}\n")) || !committed.ends_with(&inputs()?) {
        bail!("{OBJECT} is not of these sources; `cargo xtask probe` builds it anew");
    }
    Ok(())
}

/// What was built.
struct Built {
    object: PathBuf,
    /// The lines of the sum that tell of compiler and linker, and with them of the object.
    made_by_tools: String,
    made_by: String,
}

fn build() -> Result<Built> {
    let rustc = rustup(&["rustc", "-vV"])?;
    let sysroot = PathBuf::from(rustup(&["rustc", "--print", "sysroot"])?.trim());
    if !sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
        let mut add = Command::new("rustup");
        run::run(add.args(["component", "add", "rust-src", "--toolchain", "nightly"]))?;
    }
    let linker = linker(&rustc, &sysroot)?;
    let target = run::target().join("probe");
    let root = run::root();
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let mut flags: Vec<String> = FLAGS.map(str::to_owned).into();
    for (path, name) in
        [(Some(&root), "botlike"), (cargo_home.as_ref(), "cargo"), (Some(&sysroot), "rust")]
    {
        flags.extend(path.map(|path| format!("--remap-path-prefix={}={name}", path.display())));
    }
    // Where crates come from does not belong into the object; of several that fit, the last one counts.
    let registries = cargo_home.iter().filter_map(|home| home.join("registry/src").read_dir().ok());
    for registry in registries.flatten().flatten() {
        flags.push(format!("--remap-path-prefix={}=crates", registry.path().display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(linker).chain(std::env::split_paths(&path));
    let mut cargo = nightly(&["cargo", "build", "--quiet", "--locked", "--release"]);
    cargo
        .current_dir(&root)
        .args(["--package", "botlike-ebpf", "--bin", "botlike-probe", "--features", "probe"])
        .args(["-Zbuild-std=core", "--target", "bpfel-unknown-none"])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_TARGET_DIR", &target)
        .env("PATH", std::env::join_paths(folders)?);
    run::run(&mut cargo)?;
    let object = target.join("botlike.bpf.o");
    strip(&rustc, &sysroot, &target.join("bpfel-unknown-none/release/botlike-probe"), &object)?;
    let bytes = std::fs::read(&object)?;
    if let Some(path) = absolute_path(&bytes) {
        bail!("{} has a path of this machine in it: {path}", object.display());
    }
    let first = rustc.lines().next().unwrap_or_default();
    let made_by_tools = format!(
        "# What {OBJECT} was built from and by; written by `cargo xtask probe`.\n{first}\nbpf-linker {LINKER}\n"
    );
    let hashed = hash(&target, &["botlike.bpf.o".to_owned()])?.concat();
    let made_by = format!("{made_by_tools}object {hashed}\n");
    Ok(Built { object, made_by_tools, made_by })
}

/// The folder of a linker that works with the toolchain's own LLVM.
fn linker(rustc: &str, sysroot: &Path) -> Result<PathBuf> {
    let works = |folder: &Path| {
        let mut version = Command::new(folder.join("bpf-linker"));
        run::output(version.arg("--version")).is_ok_and(|said| said.trim().ends_with(LINKER))
    };
    let commit = line(rustc, "commit-hash: ")?;
    let tools = std::env::var_os("BOTLIKE_CACHE")
        .map_or_else(|| run::target().join("tools"), PathBuf::from);
    let folder = tools.join(format!("bpf-linker-{LINKER}-{}", commit.get(..9).unwrap_or(commit)));
    let bin = folder.join("bin");
    if works(&bin) {
        return Ok(bin);
    }
    eprintln!("xtask: building bpf-linker {LINKER} (once; some two minutes)");
    let llvm = line(rustc, "LLVM version: ")?.split('.').next().unwrap_or_default();
    let library = std::fs::read_dir(sysroot.join("lib"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| name.starts_with("libLLVM.so."))
        })
        .context("the nightly toolchain has no shared LLVM of its own")?;
    // Where the linker's build looks for LLVM under the name that it knows.
    let lib = folder.join("llvm/lib");
    std::fs::create_dir_all(&lib)?;
    let link = lib.join("libLLVM.so");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(&library, &link)?;
    let rpath = format!("-Clink-arg=-Wl,-rpath,{}", sysroot.join("lib").display());
    let mut install = nightly(&["cargo", "install", "--quiet", "--locked", "bpf-linker"]);
    install
        .args(["--version", LINKER, "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm}")])
        .arg("--root")
        .arg(&folder)
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env("LLVM_PREFIX", folder.join("llvm"))
        .env("CARGO_ENCODED_RUSTFLAGS", rpath)
        // It runs for a second and builds for minutes.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    run::run(&mut install)?;
    let _ = std::fs::remove_dir_all(folder.join("build"));
    if !works(&bin) {
        bail!("bpf-linker was built, but does not run from {}", bin.display());
    }
    Ok(bin)
}

/// Leaves out what is for debuggers; BTF stays.
fn strip(rustc: &str, sysroot: &Path, from: &Path, to: &Path) -> Result<()> {
    let host = line(rustc, "host: ")?;
    let objcopy = sysroot.join("lib/rustlib").join(host).join("bin/rust-objcopy");
    let mut command = Command::new(objcopy);
    command.env("LD_LIBRARY_PATH", sysroot.join("lib")).arg("--strip-debug").arg(from).arg(to);
    run::output(&mut command).map(drop)
}

/// The lines of the sum that tell what the object is built from: flags, crates from outside, sources.
fn inputs() -> Result<String> {
    let root = run::root();
    let mut out = format!("flags {}\n", FLAGS.join(" "));
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    for package in lock.split("[[package]]") {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(" = \"")?.strip_suffix('"')
        };
        if let (Some(name), Some(version), Some(sum)) =
            (field("name"), field("version"), field("checksum"))
            && name.starts_with(CRATES)
        {
            out += &format!("crate {name} {version} {sum}\n");
        }
    }
    let mut files = vec![format!("{SOURCES}/Cargo.toml")];
    sources(&root, &format!("{SOURCES}/src"), &mut files)?;
    files.sort_unstable();
    for (file, hash) in files.iter().zip(hash(&root, &files)?) {
        out += &format!("source {file} {hash}\n");
    }
    Ok(out)
}

/// The Rust files below a folder that are compiled into the object.
fn sources(root: &Path, folder: &str, files: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(root.join(folder)).with_context(|| folder.to_owned())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            sources(root, &path, files)?;
        } else if name.ends_with(".rs") && name != "tests.rs" {
            files.push(path);
        }
    }
    Ok(())
}

/// The hashes that git gives the files.
fn hash(folder: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["hash-object", "--no-filters", "--"]).args(files);
    Ok(run::output(&mut git)?.lines().map(str::to_owned).collect())
}

/// The first text in an object that begins like a path from the root.
fn absolute_path(object: &[u8]) -> Option<String> {
    let texts = object.split(|&byte| !(0x20..0x7f).contains(&byte));
    texts
        .filter(|text| matches!(text, [b'/', b'a'..=b'z' | b'A'..=b'Z', ..]) && text.len() > 4)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .next()
}

/// A field of `rustc -vV`.
fn line<'a>(rustc: &'a str, name: &str) -> Result<&'a str> {
    rustc
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .with_context(|| format!("rustc does not tell its {name}"))
}

/// What a command of the nightly toolchain prints.
fn rustup(args: &[&str]) -> Result<String> {
    run::output(&mut nightly(args)).context(
        "building the probe needs rustup and a nightly toolchain: `rustup toolchain install nightly --component rust-src`",
    )
}

/// A command of the nightly toolchain, free of what the toolchain that runs this has set.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(args);
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_object_is_of_these_sources() {
        fresh().unwrap();
    }

    #[test]
    fn the_committed_object_has_no_path_of_a_machine() {
        let object = std::fs::read(run::root().join(OBJECT)).unwrap();
        assert_eq!(absolute_path(&object), None);
        // What it would find.
        assert_eq!(absolute_path(b"\x01\0/home/x/y.rs\0").as_deref(), Some("/home/x/y.rs"));
        assert_eq!(absolute_path(b"\x01\0botlike/x/y.rs\0/\0"), None);
    }
}
