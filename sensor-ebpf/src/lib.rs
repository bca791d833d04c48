//! What the kernel probe and the program share: the [`record`] layout, what is [`interest`]ing, and the [`gate`] that
//! lets through what `observe = metadata` allows.
//!
//! All of it is pure: no clock, no map, no helper call. The probe (`src/probe`, built by `cargo xtask probe` for the BPF
//! target) and the rungs without a probe call the same functions, and the tests here run them on the host.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod gate;
pub mod interest;
pub mod record;
