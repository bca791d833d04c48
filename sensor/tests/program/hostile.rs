//! Captures made by an enemy: memory stays bounded, the run ends, and the counters say what was hit.
