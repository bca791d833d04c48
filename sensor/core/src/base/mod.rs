//! Floor 0: time stamps, addresses, bounded text, every limit in one struct, every counter in one.
//!
//! Nothing here judges anything. All other modules may use this one; it uses none of them.

mod addr;
mod counters;
mod limits;
mod ports;
mod stamp;
mod text;

pub use addr::{Addr, Endpoint, Flow, Net, Side};
pub use counters::Counters;
pub use limits::Limits;
pub use ports::Ports;
pub use stamp::{DAY, HOUR, MICRO, MILLI, MINUTE, Nanos, SECOND, Stamp};
pub use text::{Text, TextList};
