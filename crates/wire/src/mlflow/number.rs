//! Numbers under protobuf's JSON rules: whole numbers may be strings, and a float that is no finite number is a word.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A whole number, which may come as a string.
pub(super) struct Whole(pub(super) i64);

/// A float, which comes and goes as a word where it is no finite number.
pub(super) struct Float(pub(super) f64);

/// What is no finite number, by its word.
const WORDS: [(&str, f64); 3] = [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// The float that a word means.
pub(super) fn float_of_word(word: &str) -> Option<f64> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

/// The word for a float that is no finite number.
fn word_of_float(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        return None;
    }
    WORDS.iter().find(|(_, known)| *known == value || known.is_nan() && value.is_nan()).map(|(word, _)| *word)
}

/// A float as answers have it.
#[must_use]
pub(crate) fn float_value(value: f64) -> Value {
    match word_of_float(value) {
        Some(word) => Value::String(word.to_owned()),
        None => serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number),
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match word_of_float(self.0) {
            Some(word) => serializer.serialize_str(word),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWhole;
        impl Visitor<'_> for AsWhole {
            type Value = Whole;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                i64::try_from(number).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
                text.parse().map(Whole).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(AsWhole)
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsFloat;
        impl Visitor<'_> for AsFloat {
            type Value = Float;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Float, E> {
                Ok(Float(number))
            }
            #[expect(clippy::cast_precision_loss, reason = "a metric is a float: the nearest one is what is asked for")]
            fn visit_i64<E: Error>(self, number: i64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }
            #[expect(clippy::cast_precision_loss, reason = "a metric is a float: the nearest one is what is asked for")]
            fn visit_u64<E: Error>(self, number: u64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Float, E> {
                // Numbers in strings are rare: `Fields` reads them, the slow way.
                float_of_word(text).map(Float).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(AsFloat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_comes_back_as_it_went() {
        let check = |value: f64, text: &str| {
            assert_eq!(serde_json::to_string(&Float(value)).unwrap(), text);
            assert_eq!(float_value(value).to_string(), text);
            let back = serde_json::from_str::<Float>(text).unwrap().0;
            assert!(back.to_bits() == value.to_bits() || back.is_nan() && value.is_nan(), "{back} {value}");
        };
        check(0.5, "0.5");
        check(-0.0, "-0.0");
        check(f64::MAX, "1.7976931348623157e+308");
        check(f64::NAN, "\"NaN\"");
        check(-f64::NAN, "\"NaN\"");
        check(f64::INFINITY, "\"Infinity\"");
        check(f64::NEG_INFINITY, "\"-Infinity\"");
        assert!(serde_json::from_str::<Float>("\"nan\"").is_err());
    }

    #[test]
    fn whole_numbers_may_be_strings() {
        let read = |text: &str| serde_json::from_str::<Whole>(text).ok().map(|whole| whole.0);
        assert_eq!(read("17"), Some(17));
        assert_eq!(read("\"17\""), Some(17));
        assert_eq!(read("9223372036854775808"), None);
        assert_eq!(read("1.5"), None);
    }
}
