//! JSON has no infinities: a sum that has grown past all numbers is written as the largest one.

use serde::{Deserialize, Deserializer, Serializer};

/// The number itself, or the nearest finite one; nothing for what is not a number.
pub const fn nearest(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(-f64::MAX, f64::MAX) }
}

pub fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(nearest(*number))
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    f64::deserialize(from).map(nearest)
}
