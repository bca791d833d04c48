//! The laboratory of bots: a host with a sensor, its guests, and an internet of receivers, in namespaces of its own.
//!
//! What it promises: nothing is installed, nothing of the machine's own network is touched, nothing leaves it, and nothing
//! stays behind: all of it is one tree of processes and threads that ends with its first process, however that ends, and
//! it ends itself when its [time](plan::LIMIT) is up. It needs Rust, and nothing that a machine may not have.
//!
//! What it refuses: to let a script know the sensor. Bots and honest senders write bytes to sockets; what of it must be
//! found stands beside them as data ([`cast`]).
//!
//! The program `lab` is its inside and its outside: [`start`] leaves the machine's namespaces, [`world`] lays the
//! [`net`], starts [receivers](receiver), [names] and the sensor, and lets everybody play; [`review`] compares what they
//! did with what the sensor said.

pub mod bots;
pub mod cast;
pub mod honest;
pub mod names;
pub mod net;
pub mod plan;
pub mod program;
pub mod receiver;
pub mod review;
pub mod start;
pub mod talk;
pub mod tls;
pub mod world;

mod netlink;
