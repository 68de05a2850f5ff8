//! What the walk and its deformation are measured against, on the same engine: approximations of the same posterior, each the method of its
//! paper with that paper's defaults.
//!
//! | file | method |
//! |---|---|
