//! The letters that people in the laboratory write: bounded, varied, the same in every run but for their dates.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::plan::{self, Mta};

/// One letter, as it is handed to a mail server.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Header and body, lines ended by CRLF, not yet dot-stuffed.
    pub text: Vec<u8>,
}

/// A small generator of repeatable disorder (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// One that begins at `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(value).unwrap_or(0) % bound.max(1)
    }
}

const WORDS: [&str; 40] = [
    "about",
    "after",
    "agenda",
    "answer",
    "april",
    "before",
    "bring",
    "budget",
    "called",
    "change",
    "coffee",
    "draft",
    "early",
    "figures",
    "garden",
    "happy",
    "invoice",
    "journey",
    "kettle",
    "later",
    "letter",
    "meeting",
    "monday",
    "morning",
    "notes",
    "office",
    "paper",
    "plan",
    "please",
    "quarter",
    "report",
    "sample",
    "school",
    "speak",
    "table",
    "thanks",
    "tomorrow",
    "version",
    "window",
    "yesterday",
];

/// The `k`th letter that a user of `mta` sends out.
pub fn outgoing(mta: Mta, k: usize) -> Letter {
    let mut dice = Dice::new(k as u64 * 3 + mta as u64 + 1);
    let from = format!("user{:02}@{}", k % plan::USERS, mta.domain());
    let home = |step: usize| plan::domain((k * 7 + step * 41) % plan::DOMAINS);
    let to = match k {
        _ if k % 400 == 137 => vec![format!("ann@{}", plan::DEAD_DOMAIN)],
        _ if k % 400 == 211 => vec![format!("ann@{}", plan::REFUSING_DOMAIN)],
        _ if k % 83 == 40 => vec![format!("unknown{k}@{}", home(0))],
        _ if k % 97 == 50 => vec![format!("strict@{}", home(0))],
        _ if k % 11 == 5 => (0..3).map(|n| format!("team{n}.{}@{}", k % 7, home(0))).collect(),
        _ if k % 13 == 6 => (0..3).map(|n| format!("list{}@{}", k % 5, home(n))).collect(),
        _ if k % 17 == 8 => {
            let other = Mta::ALL[(mta as usize + 1 + k % 2) % 3];
            vec![format!("user{:02}@{}", dice.below(plan::USERS), other.domain())]
        }
        _ => vec![format!("{}{}@{}", WORDS[k % WORDS.len()], k % 3, home(0))],
    };
    let text = text(&from, &to, &format!("{k}.{}", mta.name()), &mut dice);
    Letter { from, to, text }
}

/// The `k`th letter that strangers send to `mta`.
pub fn incoming(mta: Mta, peer: usize, k: usize) -> Letter {
    let mut dice = Dice::new(k as u64 * 5 + mta as u64 + 1_000_003);
    let from = match k % 41 {
        // A bounce of something a user sent.
        23 => String::new(),
        _ => format!("{}{}@{}", WORDS[k % WORDS.len()], k % 4, plan::peer_domain(peer)),
    };
    let user = |n: usize| format!("user{:02}@{}", (k + n) % plan::USERS, mta.domain());
    let to = match k {
        _ if k % 89 == 30 => vec![format!("nosuch{k}@{}", mta.domain())],
        _ if k % 53 == 12 => vec![user(0), format!("gone{k}@{}", mta.domain())],
        _ if k % 9 == 4 => (0..4).map(user).collect(),
        _ => vec![user(0)],
    };
    let text = text(&from, &to, &format!("{k}.to-{}", mta.name()), &mut dice);
    Letter { from, to, text }
}

fn text(from: &str, to: &[String], id: &str, dice: &mut Dice) -> Vec<u8> {
    let mut out = String::with_capacity(4096);
    let shown = if from.is_empty() { "postmaster@example.org" } else { from };
    let home = shown.rsplit('@').next().unwrap_or("example.org");
    let _ =
        write!(out, "Date: {}\r\nFrom: <{shown}>\r\nTo: {}\r\n", date(now()), to.join(",\r\n\t"));
    let (a, b) = (WORDS[dice.below(WORDS.len())], WORDS[dice.below(WORDS.len())]);
    let subject = match dice.below(9) {
        0 => format!("=?utf-8?q?Gr=C3=BC=C3=9Fe=3A_{a}?= {b}"),
        1 => format!("Re: {a} and {b}"),
        _ => format!("{a} {b}"),
    };
    let _ = write!(
        out,
        "Subject: {subject}\r\nMessage-ID: <{id}.{}@{home}>\r\nMIME-Version: 1.0\r\n",
        dice.below(1 << 30)
    );
    let attachment = dice.below(25) == 0;
    if attachment {
        out.push_str("Content-Type: multipart/mixed; boundary=\"=_parts\"\r\n\r\n--=_parts\r\n");
    }
    out.push_str("Content-Type: text/plain; charset=us-ascii\r\n\r\n");
    for _ in 0..4 + dice.below(60) {
        // A line that begins with a dot must survive dot-stuffing.
        if dice.below(20) == 0 {
            out.push('.');
        }
        for _ in 0..3 + dice.below(9) {
            out.push_str(WORDS[dice.below(WORDS.len())]);
            out.push(' ');
        }
        out.push_str("\r\n");
    }
    if attachment {
        out.push_str("--=_parts\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        for _ in 0..300 + dice.below(500) {
            for _ in 0..19 {
                let _ = write!(out, "{:04x}", dice.below(1 << 16));
            }
            out.push_str("\r\n");
        }
        out.push_str("--=_parts--\r\n");
    }
    out.into_bytes()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// `seconds` since 1970 as RFC 5322 §3.3 writes them.
pub fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = seconds / 86_400;
    // The civil calendar, counted from 1 March of year 0 in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let clock = seconds % 86_400;
    format!(
        "{}, {day} {} {year} {:02}:{:02}:{:02} +0000",
        DAYS[days as usize % 7],
        MONTHS[month as usize],
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, written) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 +0000"),
        ] {
            assert_eq!(date(seconds), written);
        }
    }

    #[test]
    fn the_letters_reach_every_domain() {
        let mut seen = [false; plan::DOMAINS];
        for k in 0..plan::Scene::Configured.outgoing() {
            for to in outgoing(Mta::Exim, k).to {
                if let Some(index) = to.rsplit('@').next().and_then(plan::domain_index) {
                    seen[index] = true;
                }
            }
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
