//! Every counter in one struct.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        /// Everything the sensor counts. Saturating sums; each stage has its own copy and they are added up.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counters {
            /// Adds `other` to this.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)+
            }

            /// Name, value and meaning of each counter, in declaration order.
            pub fn list(&self) -> impl Iterator<Item = (&'static str, u64, &'static str)> {
                [$((stringify!($name), self.$name, concat!($($doc),+).trim_ascii()),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Packets lost because the ring between kernel and sensor was full.
    lost_ring;
    /// Packets that the kernel could not read, or that were longer than the largest record.
    lost_unreadable;
    /// Packets that the kernel dropped before the ring, where it tells.
    lost_kernel;
    /// Frames read.
    frames;
    /// Bytes of those frames as captured.
    frame_bytes;
    /// Frames that are neither IPv4 nor IPv6.
    not_ip;
    /// IP packets that carry neither TCP nor, where it is of interest, DNS over UDP.
    not_tcp;
    /// TCP segments on ports that are not watched.
    other_ports;
    /// Packets whose headers were cut off or make no sense.
    malformed;
    /// Packets whose payload was cut off by the capture's snap length.
    snaplen_cut;
    /// IP fragments seen.
    fragments;
    /// Datagrams put together from fragments.
    fragments_joined;
    /// Fragments given up: time-out, overlap with other bytes, or a cap.
    fragments_dropped;
    /// Packets passed over because another interface shows their flow.
    copies;
    /// Packets passed over because another interface shows their connection, with another address.
    copies_translated;
    /// Flows of which was forgotten which interface they belong to, because the table was full.
    point_flows_forgotten;
    /// SYNs forgotten so early that their translation may not have been known again.
    point_handshakes_forgotten;
    /// TCP segments on watched ports.
    segments;
    /// Packets of DNS: datagrams, and segments of TCP with payload.
    dns_packets;
    /// Messages of DNS that make no sense, or were cut off, or lie in several segments.
    dns_unread;
    /// Questions and answers of DNS that were read.
    dns_lookups;
    /// Answers of DNS that were not read to their end: cut by their sender or by the limit of records.
    dns_partial;
    /// Connections first seen.
    flows;
    /// Connections joined in the middle: no SYN was seen.
    flows_midstream;
    /// Connections evicted because the table was full.
    flows_evicted;
    /// Sessions that could not be followed because the table was full.
    sessions_refused;
    /// Retransmitted bytes.
    retransmitted_bytes;
    /// Overlaps whose bytes differ from those seen first.
    overlaps_differing;
    /// Segments kept until a hole before them was filled.
    segments_reordered;
    /// Segments that came when a reordering buffer was full, so that a hole was given up early.
    reorder_full;
    /// Missing parts of streams given up as lost.
    gaps;
    /// Bytes of those parts.
    gap_bytes;
    /// Packets with a stamp that lies before the one of the packet before.
    time_backwards;
    /// Lines longer than the limit: what is beyond it was not looked at.
    lines_cut;
    /// Replies with more lines than the limit: what is beyond it was not looked at.
    replies_cut;
    /// HELO arguments, paths and header fields longer than the limit: what is beyond it was not kept.
    values_cut;
    /// Recipients beyond the limit: counted, not kept.
    recipients_cut;
    /// Commands dropped from the queue of pending ones because it was full.
    pending_overflow;
    /// Transactions that were closed unanswered because too many waited for their answer.
    transactions_early;
    /// Replies that answer no command that was seen.
    replies_unmatched;
    /// Commands that are not known or malformed.
    commands_unknown;
    /// Header sections longer than the limit.
    headers_cut;
    /// Session facts.
    sessions;
    /// Message facts.
    messages;
    /// Transactions lost to gaps.
    transactions_partial;
    /// Sessions that turned to TLS.
    sessions_tls;
    /// Hits of detections, before the judge.
    hits;
    /// Hosts first judged.
    hosts;
    /// Hosts evicted because the table was full.
    hosts_evicted;
    /// Findings opened.
    findings_opened;
    /// Findings dropped because the table was full.
    findings_dropped;
    /// Lines lost because an output was too slow, or failed.
    lines_lost;
}
