//! Floor 4: header fields and their decoding; all bounded.
//!
//! [`HeaderReader`] takes a message's content as it passes and keeps the few fields that a message fact shows. A field
//! counts when it was on the wire whole: what a gap or the header's limit touched is absent, a long value is cut and says
//! so. Bytes are never refused: what cannot be decoded is left as it was sent.

mod address;
mod header;
mod word;

pub use header::HeaderReader;
