//! The record layout that the kernel probe and the program share.
//!
//! There is no probe yet: this crate holds its place in the workspace, outside of the default members, so that the
//! layout of the house is whole. Nothing depends on it.
#![no_std]
