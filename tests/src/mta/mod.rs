//! The laboratory of real mail servers: Postfix, Exim and OpenSMTPD, as their packages ship them, exchange mail with
//! each other and with a small internet, and every packet that passes each of them is kept in a capture.
//!
//! What it promises: nothing is installed on the machine (packages are unpacked under `target/mta`), nothing leaves it
//! (the network is made of private namespaces without a way out), and nothing stays behind: the laboratory is one tree
//! of processes in its own process namespace, so that its end, however it comes, ends every server in it, and with them
//! go their mounts and networks. It is bounded in time.
//!
//! What it refuses: to run without root, namespaces, overlay mounts or the packages. Then it says [`Refusal::Skip`].
//!
//! One laboratory: the test starts [`run`]; it starts the program `mta-lab` in new namespaces; that one is the
//! internet ([`world`]): router, name server, receivers, senders; it starts each server in namespaces of its own
//! ([`servers`]) and `tcpdump` beside it.

pub mod attempts;
pub mod dns;
pub mod ledger;
pub mod letters;
pub mod live;
pub mod packages;
pub mod plan;
pub mod receiver;
pub mod sender;
pub mod servers;
pub mod world;

mod start;

pub use start::{Outcome, Refusal, run, skip};
