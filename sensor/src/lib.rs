//! The program around [`botlike_core`]: sources of frames, the threads between them, and the lines that come out.

pub mod cli;
pub mod config;
pub mod emit;
#[cfg(test)]
mod pages;
pub mod rules;
pub mod run;
pub mod source;
