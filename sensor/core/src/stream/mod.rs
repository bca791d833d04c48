//! Floor 2: TCP reassembly with holes, the two directions of a connection, the bounded flow table.
//!
//! [`Assembler`] promises *causal order* over both directions: bytes of one side are handed over only after all bytes of
//! the other side that their sender had acknowledged were handed over or given up as a gap. A reply never comes before
//! the command that it answers, whatever the capture lost or reordered. It judges no checksum and no window, and it
//! knows nothing of SMTP.

mod assembler;
pub mod table;

pub use assembler::{Assembler, Piece, Place, Reserve, StreamSink};
pub use table::{Entry, State, Table};
