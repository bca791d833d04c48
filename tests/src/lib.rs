//! Golden cases, contracts and the laboratory of botlike.

#[cfg(target_os = "linux")]
pub mod mta;
