//! Every case, in every variant, against its golden.
//!
//! `BOTLIKE_BLESS=1 cargo test -p botlike-tests --test cases` writes the goldens anew, where the assertions hold;
//! `BOTLIKE_CASE=part` plays only cases whose name contains the part.

use botlike_tests::case::{Case, names};
use botlike_tests::player::BOUND;

#[test]
fn every_case_in_every_variant() {
    let names = names();
    assert!(!names.is_empty(), "no case was found");
    let mut failed = Vec::new();
    for name in &names {
        let outcome =
            Case::load(name).map_err(|e| format!("{name}: {e}\n")).and_then(|case| match BOUND {
                true => case.run(),
                false => Ok(()),
            });
        if let Err(report) = outcome {
            failed.push(report);
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        names.len(),
        failed.join("")
    );
}
