//! Floor 4: header fields and their decoding; all bounded.
