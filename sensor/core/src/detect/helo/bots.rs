//! The strings of known bots and tools, as data. A new version has a new date.

use super::super::name;
use super::super::random::looks_random;

/// Of which day the list is.
pub(super) const VERSION: &str = "2026-11-23";

/// One string or kind of strings.
pub(super) struct Known {
    /// As said in evidence.
    pub(super) pattern: &'static str,
    /// What says it, and who published that.
    pub(super) of: &'static str,
    /// Nothing honest is known to say it.
    pub(super) certain: bool,
    how: How,
}

enum How {
    /// The whole name.
    Is,
    /// The beginning of a single label, the rest being digits or nothing.
    Numbered(&'static [u8]),
    /// A part of a name under this suffix.
    Under(&'static [u8], &'static [u8]),
    /// `www.` and a name made up at random.
    WwwRandom,
}

/// All of them.
pub(super) static KNOWN: &[Known] = &[
    Known {
        pattern: "ylmf-pc",
        of: "PushDo and Cutwail, guessing of passwords (utcc.utoronto.ca)",
        certain: true,
        how: How::Is,
    },
    Known {
        pattern: "user",
        of: "injection with stolen passwords (rspamd RCVD_HELO_USER)",
        certain: false,
        how: How::Is,
    },
    Known {
        pattern: "friend",
        of: "ratware (SpamAssassin HELO_FRIEND)",
        certain: false,
        how: How::Is,
    },
    Known {
        pattern: "dm",
        of: "ratware (SpamAssassin RATWARE_HELO_DM)",
        certain: false,
        how: How::Is,
    },
    Known {
        pattern: "pc",
        of: "machines that nobody named (SpamAssassin HELO_OEM)",
        certain: false,
        how: How::Numbered(b"pc"),
    },
    Known {
        pattern: "oem",
        of: "machines that nobody named (SpamAssassin HELO_OEM)",
        certain: false,
        how: How::Numbered(b"oem"),
    },
    Known {
        pattern: "*device*.lan",
        of: "behind home routers (bitninja)",
        certain: false,
        how: How::Under(b"device", b".lan"),
    },
    Known {
        pattern: "speedtouch.lan",
        of: "behind home routers (bitninja)",
        certain: false,
        how: How::Is,
    },
    Known {
        pattern: "www.<random>",
        of: "a loop over names that are made up (spamauditor.org)",
        certain: false,
        how: How::WwwRandom,
    },
];

impl Known {
    /// Whether a name in lower case is meant.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        match self.how {
            How::Is => name == self.pattern.as_bytes(),
            How::Numbered(word) => {
                name.strip_prefix(word).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
            }
            How::Under(word, suffix) => name
                .strip_suffix(suffix)
                .is_some_and(|above| memchr::memmem::find(above, word).is_some()),
            How::WwwRandom => name.strip_prefix(b"www.").is_some_and(|rest| {
                let label = rest.split(|&b| b == b'.').next().unwrap_or_default();
                name::organisation(name) == Some(rest) && looks_random(label)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known() {
        for (name, pattern) in [
            ("ylmf-pc", Some("ylmf-pc")),
            ("ylmf-pc2", None),
            ("user", Some("user")),
            ("user.example.org", None),
            ("friend", Some("friend")),
            ("dm", Some("dm")),
            ("pc", Some("pc")),
            ("pc12", Some("pc")),
            ("pcmail", None),
            ("oem1", Some("oem")),
            ("mydevice1.lan", Some("*device*.lan")),
            ("device.example.org", None),
            ("speedtouch.lan", Some("speedtouch.lan")),
            ("www.xkqjzvbtwq.com", Some("www.<random>")),
            ("www.example.com", None),
            ("xkqjzvbtwq.com", None),
            ("", None),
        ] {
            let found = KNOWN.iter().find(|known| known.is(name.as_bytes()));
            assert_eq!(found.map(|known| known.pattern), pattern, "{name}");
        }
    }
}
