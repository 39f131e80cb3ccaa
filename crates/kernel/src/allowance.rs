//! What is left of a caller's rate, so that an answer can say so.

/// What is left of the rate that will be used up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The rate's name.
    pub name: &'static str,
    /// How many fit at once.
    pub quota_count: u32,
    /// In how many seconds as many grow again.
    pub window_s: u32,
    /// How many fit now.
    pub remaining_count: u32,
    /// In how many seconds all of it has grown again.
    pub reset_s: u32,
}
