//! The program around [`botlike_core`]: sources of frames, the threads between them, and the lines that come out.

pub mod config;
pub mod emit;
pub mod rules;
