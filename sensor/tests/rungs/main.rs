//! AF_PACKET, libpcap and the interfaces against the kernel, each test in a network namespace of its own.
//!
//! A namespace belongs to the test's thread and goes with it, whatever becomes of the test.
#![cfg(target_os = "linux")]

mod frames;
mod interfaces;
mod namespace;
mod privacy;
