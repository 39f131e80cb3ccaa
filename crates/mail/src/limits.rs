//! Every bound of this room.

/// An address, as RFC 5321 has it (4.5.3.1.3, without the brackets).
pub const ADDRESS_BYTES_MAX: usize = 254;
/// An OpenPGP key as it is given.
pub const KEY_BYTES_MAX: usize = 64 * 1024;
/// Addresses of the configuration that are told what concerns administrators, and accounts that are.
pub const ADMINISTRATOR_COUNT_MAX: usize = 32;
/// Notices that wait for one recipient. Of more, only their number is told.
pub const WAITING_COUNT_MAX: i64 = 500;
/// Notices that one mail lists; of the rest it tells how many there are.
pub const LISTED_COUNT_MAX: usize = 50;
/// A text in a notice.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// What is kept of why something could not be sent.
pub const FAULT_BYTES_MAX: usize = 300;
/// Recipients that are looked at in one round.
pub const ROUND_COUNT: i64 = 50;
/// Records of the log that are read in one step.
pub const READ_COUNT: u64 = 20_000;
/// Notices that one step makes.
pub const MADE_COUNT_MAX: usize = 1_000;
/// How long sending one mail may take, from the name's look-up to the last answer.
pub const SEND_S_MAX: u64 = 60;
/// How long another process leaves it to the one that is sending.
pub const LEASE_S: i64 = 180;
/// The wait behind the first failure; it doubles with each.
pub const FIRST_WAIT_S: i64 = 30;
/// The longest wait.
pub const WAIT_S_MAX: i64 = 3_600;
/// How long what was sent or failed is shown.
pub const SHOWN_DAYS: i64 = 30;
/// Notices that a list shows.
pub const LIST_ROWS_MAX: i64 = 1_000;
