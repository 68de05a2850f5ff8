//! The kit on parts that are right and on parts that are wrong.
