//! Every limit in one struct.

use super::{HOUR, MINUTE, Nanos, SECOND};

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $default:expr;)+) => {
        /// Every cap and time-out of the sensor. Each one has a counter in [`Counters`](super::Counters) that shows when
        /// it was hit.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $ty,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Name, value and meaning of each limit, in declaration order. Spans of time are in nanoseconds.
            pub fn list(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$((stringify!($name), self.$name as u64, concat!($($doc),+).trim_ascii()),)+].into_iter()
            }

            /// Whether the limit of this name is a span of time.
            pub fn is_span(name: &str) -> bool {
                match name {
                    $(stringify!($name) => matches!(stringify!($ty).as_bytes(), b"Nanos"),)+
                    _ => false,
                }
            }

            /// Sets a limit by its name; `false` when there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value as $ty,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

limits! {
    /// TCP connections tracked at a time, attempts included.
    flows: usize = 1 << 18;
    /// Connections with a dialogue (payload seen) at a time.
    sessions: usize = 1 << 14;
    /// Bytes kept for one connection until a hole before them is filled.
    reorder_bytes: usize = 256 << 10;
    /// Segments kept for one connection until a hole before them is filled.
    reorder_segments: usize = 2048;
    /// Bytes that segments kept in all connections together take until holes are filled, each 128 more than it carries.
    reorder_total: usize = 64 << 20;
    /// Packets of a connection that pass before a missing part is given up that nobody acknowledged: it may be sent again.
    reorder_packets: u32 = 4096;
    /// IP datagrams being put together from fragments at a time.
    fragment_datagrams: usize = 256;
    /// Bytes of fragments kept at a time.
    fragment_bytes: usize = 4 << 20;
    /// Pieces of one datagram that are kept; Ethernet cuts the longest datagram into 45.
    fragment_pieces: usize = 256;
    /// How long fragments of a datagram wait for the rest.
    fragment_timeout: Nanos = 30 * SECOND;
    /// Connections, and flows of datagrams, of which is remembered which interface they belong to, where there are several.
    point_flows: usize = 1 << 17;
    /// SYNs and their answers that are kept, to know them again after address translation.
    point_handshakes: usize = 1024;
    /// Where several interfaces show a flow, another takes over when the first has shown nothing for so long.
    point_silence: Nanos = 5 * SECOND;
    /// A connection whose handshake is not complete ends after so long without a packet.
    handshake_timeout: Nanos = 2 * MINUTE;
    /// A connection ends after so long without a packet (RFC 5321 section 4.5.3.2 lets a client wait 10 minutes).
    idle_timeout: Nanos = 10 * MINUTE;
    /// A closed connection is remembered so long, so that late packets do not open it again.
    linger: Nanos = 10 * SECOND;
    /// Bytes of a command or reply line that are looked at.
    line_bytes: usize = 4096;
    /// Lines of a multi-line reply that are looked at.
    reply_lines: usize = 128;
    /// Commands that wait for their reply at a time.
    pending_commands: usize = 1024;
    /// Transactions of a connection that wait for the answer to their end of data at a time.
    waiting_transactions: usize = 16;
    /// Bytes of a HELO or EHLO argument that are kept.
    helo_bytes: usize = 255;
    /// Bytes of a reverse-path or forward-path that are kept.
    path_bytes: usize = 320;
    /// Recipients of a transaction that are kept; all are counted.
    recipients: usize = 50;
    /// Bytes of a message header section that are looked at.
    header_bytes: usize = 64 << 10;
    /// Bytes of one header field that are kept, unfolded.
    field_bytes: usize = 1024;
    /// Records of a DNS answer that are looked at.
    dns_records: usize = 64;
    /// Bytes of a host's filter of addresses that DNS has named, kept twice, and only of hosts of which DNS was seen.
    dns_filter_bytes: usize = 2048;
    /// Bytes of a host's filter of destinations known for a month, kept twice, and only of hosts with more than a few.
    history_filter_bytes: usize = 2048;
    /// Hosts that are judged at a time.
    hosts: usize = 16_384;
    /// Findings open at a time.
    findings: usize = 65_536;
    /// A host without traffic is forgotten after so long.
    host_timeout: Nanos = 24 * HOUR;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_values_and_kinds() {
        let mut limits = Limits::default();
        assert!(limits.set("flows", 7) && limits.flows == 7);
        assert!(!limits.set("flow", 7));
        assert!(Limits::is_span("idle_timeout") && Limits::is_span("linger"));
        assert!(
            !Limits::is_span("flows")
                && !Limits::is_span("reorder_bytes")
                && !Limits::is_span("nothing")
        );
    }
}
