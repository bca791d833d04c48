//! Golden cases, contracts and the laboratory of botlike.
//!
//! A case is a readable [`script`]. [`wire`] plays it into packets as real TCP stacks would send them, [`variant`] shows
//! them in a dozen ways, [`frame`] builds the frames, [`player`] is the sensor under test, and [`case`] compares its
//! lines with the golden ([`normal`] says what may differ) and with the case's own assertions ([`assertion`]).

pub mod assertion;
pub mod case;
pub mod dns;
pub mod frame;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod machine;
pub mod mta;
pub mod normal;
pub mod packet;
pub mod pcap;
pub mod player;
pub mod random;
pub mod recorder;
pub mod script;
pub mod skip;
pub mod tls;
pub mod variant;
pub mod wire;
