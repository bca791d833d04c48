//! Floor 2: TCP reassembly with holes, the two directions of a connection, the bounded flow table.
