//! The fixed words of the lines. A word never changes its meaning; the schema lists them from here.

use botlike_core::base::Nanos;
use botlike_core::base::{HOUR, MICRO, MILLI, MINUTE, SECOND};
use botlike_core::detect::NotObservable;
use botlike_core::judge::{Direction, Status};
use botlike_core::smtp::{Capability, CaptureState, Close, HeloVerb, Outcome, Starttls, Visible};

/// Defines the words of an enum: a function from a value, and the list of all for the schema.
macro_rules! words {
    ($($function:ident $list:ident $type:ident { $($variant:ident $word:literal)+ })+) => {$(
        pub(crate) const fn $function(value: $type) -> &'static str {
            match value { $($type::$variant => $word),+ }
        }
        pub(super) const $list: &[&str] = &[$($word),+];
    )+};
}

words! {
    direction DIRECTIONS Direction {
        Outbound "outbound" Inbound "inbound" Internal "internal" External "external" Unknown "unknown"
    }
    status STATUSES Status { Open "open" Update "update" Closed "closed" OpenAtEnd "open_at_end" }
    helo_verb HELO_VERBS HeloVerb { Helo "HELO" Ehlo "EHLO" Lhlo "LHLO" }
    visible VISIBLES Visible {
        Plain "plain" UntilStarttls "until_starttls" ImplicitTls "implicit_tls" Headers "headers"
    }
    starttls STARTTLS Starttls {
        Unused "unused" Unanswered "unanswered" Refused "refused" Established "established"
        AcceptedButPlain "accepted_but_plain"
    }
    close CLOSES Close {
        Quit "quit" ClientFin "client_fin" ServerFin "server_fin" ClientRst "client_rst" ServerRst "server_rst"
        Timeout "timeout" Evicted "evicted" EndOfCapture "end_of_capture"
    }
    outcome OUTCOMES Outcome { Accepted "accepted" Rejected "rejected" Unanswered "unanswered" Aborted "aborted" }
}

/// `event.action` of a finding line.
pub(super) const fn finding_action(value: Status) -> &'static str {
    match value {
        Status::Open => "finding-opened",
        Status::Update => "finding-updated",
        Status::Closed => "finding-closed",
        Status::OpenAtEnd => "finding-open-at-end",
    }
}

/// `event.outcome` of a message line, in the three words of ECS.
pub(super) const fn ecs_outcome(value: Outcome) -> &'static str {
    match value {
        Outcome::Accepted => "success",
        Outcome::Rejected => "failure",
        Outcome::Unanswered | Outcome::Aborted => "unknown",
    }
}

/// The words of `smtp.capabilities`: as in the EHLO reply.
pub(super) const CAPABILITIES: &[(Capability, &str)] = &[
    (Capability::STARTTLS, "STARTTLS"),
    (Capability::PIPELINING, "PIPELINING"),
    (Capability::SIZE, "SIZE"),
    (Capability::EIGHT_BIT_MIME, "8BITMIME"),
    (Capability::SMTPUTF8, "SMTPUTF8"),
    (Capability::CHUNKING, "CHUNKING"),
    (Capability::BINARYMIME, "BINARYMIME"),
    (Capability::DSN, "DSN"),
    (Capability::ENHANCED_STATUS_CODES, "ENHANCEDSTATUSCODES"),
    (Capability::AUTH, "AUTH"),
    (Capability::VRFY, "VRFY"),
    (Capability::ETRN, "ETRN"),
    (Capability::HELP, "HELP"),
    (Capability::XCLIENT, "XCLIENT"),
    (Capability::XFORWARD, "XFORWARD"),
    (Capability::OTHER, "other"),
];

/// The words of `smtp.capture_reason`.
pub(super) const CAPTURE_REASONS: &[(CaptureState, &str)] = &[
    (CaptureState::GAP, "gap"),
    (CaptureState::ONE_SIDED, "one_sided"),
    (CaptureState::JOINED_LATE, "joined_late"),
    (CaptureState::SNAPLEN, "snaplen"),
    (CaptureState::LIMIT, "limit"),
];

/// The words of `botlike.not_observable`.
pub(super) const NOT_OBSERVABLE: &[(NotObservable, &str)] = &[
    (NotObservable::DNS, "dns"),
    (NotObservable::TLS, "tls"),
    (NotObservable::ONE_SIDED, "one_sided"),
    (NotObservable::PROCESS, "process"),
    (NotObservable::ROLE, "role"),
    (NotObservable::FEED, "feed"),
    (NotObservable::HISTORY, "history"),
    (NotObservable::CAPTURE, "capture"),
    (NotObservable::DIRECTION, "direction"),
    (NotObservable::CONTENT, "content"),
];

/// A span of time as people write it, and as the configuration reads it where it is a whole number of a unit: `10m`,
/// `300ms`, otherwise seconds with three digits: `1.250s`.
pub(crate) fn span(nanos: Nanos) -> String {
    for (unit, name) in [(HOUR, "h"), (MINUTE, "m"), (SECOND, "s")] {
        if nanos.is_multiple_of(unit) && nanos > 0 {
            return format!("{}{name}", nanos / unit);
        }
    }
    match nanos {
        0 => "0s".into(),
        n if n < MILLI => format!("{}us", n / MICRO),
        n if n < SECOND => format!("{}ms", n / MILLI),
        n => format!("{}.{:03}s", n / SECOND, n % SECOND / MILLI),
    }
}

/// A size as people write it and the configuration reads it: `64MiB`, otherwise bytes.
pub(crate) fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes.is_multiple_of(unit) && bytes > 0 {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

/// A size in a sentence: three digits are enough, e.g. `4.18 GiB`.
pub(crate) fn rough_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = if size < 9.995 { 2 } else { usize::from(size < 99.95) };
    format!("{size:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_its_word() {
        let named: Capability = CAPABILITIES.iter().map(|(flag, _)| *flag).collect();
        assert_eq!(named, Capability::all());
        let named: CaptureState = CAPTURE_REASONS.iter().map(|(flag, _)| *flag).collect();
        assert_eq!(named, CaptureState::all());
        let named: NotObservable = NOT_OBSERVABLE.iter().map(|(flag, _)| *flag).collect();
        assert_eq!(named, NotObservable::all());
    }

    #[test]
    fn spans_and_sizes_are_short() {
        for (nanos, text) in [
            (0, "0s"),
            (MICRO, "1us"),
            (300 * MILLI, "300ms"),
            (1250 * MILLI, "1.250s"),
            (MINUTE, "1m"),
            (90 * SECOND, "90s"),
            (24 * HOUR, "24h"),
        ] {
            assert_eq!(span(nanos), text);
        }
        assert_eq!(
            (size(64 << 20), size(1025), size(0)),
            ("64MiB".into(), "1025B".into(), "0B".into())
        );
    }

    #[test]
    fn sizes_in_sentences_are_rounded() {
        for (bytes, text) in [
            (0, "0.00 KiB"),
            (1023 << 10, "1.00 MiB"),
            (10 << 20, "10.0 MiB"),
            (4_492_165_120, "4.18 GiB"),
            (123 << 30, "123 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(rough_size(bytes), text);
        }
    }
}
