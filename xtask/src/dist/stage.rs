//! The folder that packages are made of.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::licences;
use crate::run;

/// Files of the tree, and where they go in the stage.
const FILES: &[(&str, &str)] = &[
    ("deploy/systemd/botlike.service", "units/botlike.service"),
    ("deploy/systemd/botlike.sysusers", "sysusers/botlike.conf"),
    ("deploy/systemd/botlike.logrotate", "etc/logrotate"),
    ("deploy/botlike.toml", "etc/botlike.toml"),
    ("deploy/debian/postinst", "debian/postinst"),
    ("deploy/debian/prerm", "debian/prerm"),
    ("deploy/debian/postrm", "debian/postrm"),
    ("deploy/debian/copyright", "debian/copyright"),
    ("deploy/rpm/pre.sh", "rpm/pre.sh"),
    ("deploy/rpm/post.sh", "rpm/post.sh"),
    ("deploy/rpm/preun.sh", "rpm/preun.sh"),
    ("deploy/rpm/postun.sh", "rpm/postun.sh"),
    ("LICENSE-MIT", "licenses/LICENSE-MIT"),
    ("LICENSE-APACHE", "licenses/LICENSE-APACHE"),
    ("README.md", "doc/README.md"),
    ("CHANGELOG.md", "doc/CHANGELOG.md"),
    ("docs/CONFIGURATION.md", "doc/CONFIGURATION.md"),
    ("docs/DEPLOYMENT.md", "doc/DEPLOYMENT.md"),
    ("docs/FIELDS.md", "doc/FIELDS.md"),
    ("deploy/vector/botlike.yaml", "examples/vector.yaml"),
    ("deploy/fluent-bit/botlike.yaml", "examples/fluent-bit.yaml"),
    ("deploy/elasticsearch/index-template.json", "examples/index-template.json"),
];

/// Makes the stage anew: the program, what the program says of itself, and what lies in the tree.
pub(super) fn gather(program: &Path, stage: &Path, version: &str, maintainer: &str) -> Result<()> {
    if stage.exists() {
        std::fs::remove_dir_all(stage)?;
    }
    let root = run::root();
    for (from, to) in FILES {
        let to = folder_of(stage, to)?;
        std::fs::copy(root.join(from), &to).with_context(|| format!("cannot copy {from}"))?;
    }

    let binary = folder_of(stage, "bin/botlike")?;
    std::fs::copy(program, &binary)?;
    run::run(Command::new("strip").arg(&binary))?;
    let says = run::output(Command::new(&binary).arg("--version"))?;
    if says.trim() != format!("botlike {version}") {
        bail!("{} says {says:?} and not version {version}", program.display());
    }

    let pages = stage.join("man");
    std::fs::create_dir_all(&pages)?;
    run::run(Command::new(&binary).args(["man", "--dir"]).arg(&pages))?;
    for (shell, name) in [("bash", "botlike.bash"), ("zsh", "_botlike"), ("fish", "botlike.fish")] {
        let text = run::output(Command::new(&binary).args(["completions", shell]))?;
        std::fs::write(folder_of(stage, &format!("completions/{name}"))?, text)?;
    }

    let notices = licences::notices(super::TARGET)?;
    std::fs::write(stage.join("doc/THIRD-PARTY.txt"), &notices)?;
    std::fs::write(stage.join("licenses/THIRD-PARTY.txt"), &notices)?;
    std::fs::write(stage.join("debian/changelog"), changelog(version, maintainer)?)?;
    let manifest = std::fs::read_to_string(root.join("deploy/packages.toml"))?;
    std::fs::write(
        stage.join("Cargo.toml"),
        manifest.replace("version = \"VERSION\"", &format!("version = \"{version}\"")),
    )?;
    // Cargo wants a package to have something to build. Nobody builds it.
    std::fs::write(stage.join("botlike.rs"), "fn main() {}\n")?;
    Ok(())
}

fn folder_of(stage: &Path, name: &str) -> Result<std::path::PathBuf> {
    let path = stage.join(name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(path)
}

/// When the last commit was made, in seconds since 1970; outside of a repository, the time of the README.
pub(super) fn date() -> Result<u64> {
    let mut git = Command::new("git");
    git.arg("-C").arg(run::root()).args(["log", "-1", "--format=%ct"]);
    if let Some(seconds) = run::output(&mut git).ok().and_then(|said| said.trim().parse().ok()) {
        return Ok(seconds);
    }
    let changed = std::fs::metadata(run::root().join("README.md"))?.modified()?;
    Ok(changed.duration_since(std::time::UNIX_EPOCH)?.as_secs())
}

/// The changelog of the Debian package, which points to that of the project.
fn changelog(version: &str, maintainer: &str) -> Result<String> {
    let seconds = format!("@{}", date()?);
    let date =
        run::output(Command::new("date").env("LC_ALL", "C").args(["-u", "-R", "-d", &seconds]))?;
    Ok(format!(
        "botlike ({version}-1) unstable; urgency=medium\n\n  * Changes are told in changelog.gz beside this file.\n\n \
         -- {maintainer}  {}\n",
        date.trim()
    ))
}
