//! `cargo xtask …`: what the project does with itself.
fn main() {}
