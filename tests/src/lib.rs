//! Golden cases, contracts and the laboratory of botlike.

pub mod mta;
