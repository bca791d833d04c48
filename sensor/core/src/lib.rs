//! Everything in botlike that decides.
//!
//! This crate is handed bytes, time and answers. It reads no clock, opens nothing, resolves nothing and draws no random
//! number: seeds and keys are inputs. Live capture, replay, tests and fuzzing differ only in who calls its two doors,
//! [`tracker::Tracker`] (frames to facts, one per worker) and [`judge::Judge`] (facts to findings, one in all).
//!
//! It promises not to panic on any bytes, to keep its memory under the limits of [`base::Limits`] whatever arrives, and
//! to give the same answer however a stream was cut or spread over workers, as long as no limit was hit; a limit that
//! was hit shows in [`base::Counters`].
//!
//! A module uses only modules of lower floors (see `ARCHITECTURE.md`; a test checks it).
#![no_std]

extern crate alloc;

pub mod base;
pub mod detect;
pub mod dns;
pub mod judge;
pub mod mail;
pub mod smtp;
pub mod stream;
pub mod tracker;
pub mod wire;
