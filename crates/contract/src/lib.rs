//! Data contracts: what a data set must hold to, and where it does not.
