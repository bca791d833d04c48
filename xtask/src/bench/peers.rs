//! Who reads the captures: botlike, and the programs that people use for it today.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::captures;
use crate::{run, tools};

/// The names, in the order of the tables.
pub(super) const BOTLIKE: &str = "botlike, 1 worker";
pub(super) const BOTLIKE_2: &str = "botlike, 2 workers";
pub(super) const TCPDUMP: &str = "tcpdump";
pub(super) const TSHARK: &str = "tshark";
pub(super) const SURICATA: &str = "Suricata 8";
pub(super) const SURICATA_NO_MIME: &str = "Suricata 8, MIME off";

/// The fields that tshark is asked for: what is needed to tell sessions and envelopes.
pub(super) const TSHARK_FIELDS: [&str; 6] = [
    "tcp.stream",
    "tcp.srcport",
    "tcp.dstport",
    "smtp.req.command",
    "smtp.req.parameter",
    "smtp.response.code",
];

/// How a program is called with a capture.
type Call = Box<dyn Fn(&Path) -> Command>;

/// One that reads captures.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// What it is, and how it was called; or why it could not be had.
    pub(super) how: String,
    command: Option<Call>,
}

impl Peer {
    pub(super) fn command(&self, capture: &Path) -> Option<Command> {
        self.command.as_ref().map(|make| make(capture))
    }

    fn of(name: &'static str, how: String, make: impl Fn(&Path) -> Command + 'static) -> Self {
        Self { name, how, command: Some(Box::new(make)) }
    }
}

/// All of them. One that cannot be had stays in the list with the reason.
pub(super) fn all() -> Result<Vec<Peer>> {
    let botlike = run::release_botlike()?;
    let version = run::output(Command::new(&botlike).arg("--version")).unwrap_or_default();
    let mut peers = Vec::new();
    for (name, workers) in [(BOTLIKE, "1"), (BOTLIKE_2, "2")] {
        let program = botlike.clone();
        let how = format!(
            "{}: `botlike read FILE --workers {workers} --format json`, to a file",
            version.trim()
        );
        peers.push(Peer::of(name, how, move |capture| {
            let mut command = Command::new(&program);
            command.arg("read").arg(capture).args(["--workers", workers, "--format", "json"]);
            command
        }));
    }
    peers.push(or_why(TCPDUMP, tools::find("tcpdump"), |tool| {
        let how = format!("{}: `tcpdump -r FILE -w /dev/null`", tool.version("--version"));
        Peer::of(TCPDUMP, how, move |capture| {
            let mut command = tool.command();
            tcpdump_copy(&mut command, capture);
            command
        })
    }));
    peers.push(or_why(TSHARK, tools::find("tshark"), |tool| {
        let how = format!(
            "{} `tshark -n -r FILE -Y smtp -T fields -e …` ({})",
            tool.version("--version"),
            TSHARK_FIELDS.join(", ")
        );
        Peer::of(TSHARK, how, move |capture| tshark(&tool, capture))
    }));
    for (name, mime) in [(SURICATA, true), (SURICATA_NO_MIME, false)] {
        peers.push(or_why(name, tools::suricata(), |tool| {
            let (config, what) = (suricata_config(mime), if mime { "decoded" } else { "not decoded" });
            let how = format!(
                "{}: `suricata --runmode single -k none -S /dev/null -r FILE`, only the SMTP parser and its log on, MIME {what}",
                tool.version("-V")
            );
            Peer::of(name, how, move |capture| {
                let mut command = tool.command();
                command.arg("-c").arg(&config).args(["-S", "/dev/null", "-k", "none", "--runmode", "single", "-l"]);
                command.arg(config.parent().unwrap_or(Path::new("."))).arg("-r").arg(capture);
                command
            })
        }));
    }
    Ok(peers)
}

/// tcpdump, reading and writing and nothing else. Of root it takes another user's rights, who need not be here.
pub(super) fn tcpdump_copy(tcpdump: &mut Command, capture: &Path) {
    if run::is_root() {
        tcpdump.args(["-Z", "root"]);
    }
    tcpdump.arg("-r").arg(capture).args(["-w", "/dev/null"]);
}

/// tshark, asked for what is needed to tell sessions and envelopes.
pub(super) fn tshark(tool: &tools::Tool, capture: &Path) -> Command {
    let mut command = tool.command();
    command.args(["-n", "-r"]).arg(capture).args(["-Y", "smtp", "-T", "fields"]);
    command.args(TSHARK_FIELDS.iter().flat_map(|field| ["-e", field]));
    command
}

fn or_why(
    name: &'static str,
    tool: Result<tools::Tool>,
    make: impl FnOnce(tools::Tool) -> Peer,
) -> Peer {
    match tool {
        Ok(tool) => make(tool),
        Err(why) => Peer { name, how: format!("could not be had: {why:#}"), command: None },
    }
}

/// A configuration without rules, with one parser and one log, in a folder of its own for the log.
fn suricata_config(mime: bool) -> PathBuf {
    let folder = captures::folder().join(if mime { "suricata" } else { "suricata-no-mime" });
    let on = if mime { "yes" } else { "no" };
    let parsers = [
        "telnet",
        "rfb",
        "mqtt",
        "krb5",
        "bittorrent-dht",
        "snmp",
        "ike",
        "tls",
        "pgsql",
        "dcerpc",
        "ftp",
        "websocket",
        "rdp",
        "ssh",
        "doh2",
        "http2",
        "imap",
        "pop3",
        "smb",
        "nfs",
        "tftp",
        "dns",
        "http",
        "modbus",
        "dnp3",
        "enip",
        "ntp",
        "quic",
        "dhcp",
        "sip",
        "ldap",
        "arp",
        "mdns",
    ];
    let off: String =
        parsers.iter().map(|parser| format!("    {parser}: {{enabled: no}}\n")).collect();
    let text = format!(
        "%YAML 1.1\n---\nvars:\n  address-groups: {{HOME_NET: any, EXTERNAL_NET: any}}\nstats: {{enabled: no}}\n\
         classification-file: /dev/null\nreference-config-file: /dev/null\n\
         outputs:\n  - eve-log:\n      enabled: yes\n      filetype: regular\n      filename: eve.json\n      types: [smtp]\n\
         unix-command: {{enabled: no}}\n\
         app-layer:\n  protocols:\n    smtp:\n      enabled: yes\n      raw-extraction: no\n      \
         mime: {{decode-mime: {on}, decode-base64: {on}, decode-quoted-printable: {on}, header-value-depth: 2000, \
         extract-urls: {on}, body-md5: no}}\n      \
         inspected-tracker: {{content-limit: 100000, content-inspect-min-size: 32768, content-inspect-window: 4096}}\n{off}\
         stream:\n  memcap: 1gb\n  checksum-validation: no\n  reassembly: {{memcap: 2gb, depth: 1mb}}\n\
         flow: {{memcap: 1gb, hash-size: 65536, prealloc: 10000}}\n"
    );
    let path = folder.join("suricata.yaml");
    // What cannot be written shows when the program is started with it.
    let _ = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
    path
}
