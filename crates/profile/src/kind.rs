//! What a column holds, by what was seen in it rather than by its type or name alone.

use serde::{Deserialize, Serialize};

use crate::column::ColumnState;
use crate::value::Value;

/// Values below which a column may be unique by chance.
const IDENTIFIER_COUNT_MIN: u64 = 100;
/// Characters that an identifier may have.
const IDENTIFIER_LENGTH_MAX: f64 = 128.0;
/// The share of texts that must have one of the two most frequent shapes for an identifier.
const IDENTIFIER_SHAPE_SHARE_MIN: f64 = 0.5;
/// Different values of a category, of texts and of numbers.
const CATEGORY_TEXT_COUNT_MAX: u64 = 500;
const CATEGORY_NUMBER_COUNT_MAX: u64 = 20;
/// The share of values that must repeat an earlier one.
const CATEGORY_REPEATED_SHARE_MIN: f64 = 0.5;
/// The share of texts that must read as dates, or of bytes that must be images.
const MOST_SHARE: f64 = 0.95;
/// Bytes a vector must have to be taken for the pixels of an image.
const PIXEL_COUNT_MIN: usize = 64;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing was seen.
    Empty,
    /// Numbers with fractions.
    Number,
    /// Whole numbers that measure or count.
    Integer,
    /// One of a few values.
    Category,
    /// Yes or no.
    Boolean,
    /// A name for the row: unique.
    Identifier,
    /// Words.
    Text,
    /// Dates and moments.
    Time,
    /// Vectors.
    Embedding,
    /// Images, as files or as pixels.
    Image,
    /// Bytes that are no images.
    Binary,
    /// Nested values, as texts.
    Nested,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Category => "category",
            Self::Boolean => "boolean",
            Self::Identifier => "identifier",
            Self::Text => "text",
            Self::Time => "time",
            Self::Embedding => "embedding",
            Self::Image => "image",
            Self::Binary => "binary",
            Self::Nested => "nested",
        }
    }
}

/// The kind of a column, and why.
pub(crate) fn kind_of(state: &ColumnState, data_type: &str) -> (Kind, String) {
    let count = state.value_count();
    if count == 0 {
        return (Kind::Empty, "no row has a value".to_owned());
    }
    if let Some(vectors) = &state.vectors {
        let dimension = vectors.dimension;
        if data_type.contains("UInt8") && dimension >= PIXEL_COUNT_MIN {
            return (Kind::Image, format!("{dimension} bytes in each row"));
        }
        return (Kind::Embedding, format!("vectors of {dimension} numbers"));
    }
    if let Some(images) = &state.images {
        let image_count = images.count();
        if image_count as f64 >= MOST_SHARE * count as f64 {
            return (Kind::Image, format!("{image_count} of {count} values begin like an image file"));
        }
        return (Kind::Binary, format!("{image_count} of {count} values begin like an image file"));
    }
    if state.times.is_some() {
        return (Kind::Time, format!("its type is {data_type}"));
    }
    if state.true_count.is_some() {
        return (Kind::Boolean, "its type is Boolean".to_owned());
    }
    if let Some(found) = boolean_of(state) {
        return found;
    }
    if state.texts.is_some() { text_kind(state, data_type) } else { number_kind(state) }
}

/// Two values that mean yes and no.
fn boolean_of(state: &ColumnState) -> Option<(Kind, String)> {
    const PAIRS: [[&str; 2]; 6] = [["0", "1"], ["false", "true"], ["n", "y"], ["no", "yes"], ["f", "t"], ["0.0", "1.0"]];
    if !state.frequent.is_exact() {
        return None;
    }
    let counted = state.frequent.values();
    let mut texts: Vec<String> = counted.iter().map(|counted| counted.value.to_string().to_lowercase()).collect();
    texts.sort_unstable();
    texts.dedup();
    let [no, yes] = texts.as_slice() else { return None };
    let known = PAIRS.iter().any(|pair| pair == &[no.as_str(), yes.as_str()]);
    let masked = counted.iter().any(|counted| counted.value == &Value::Masked);
    (known && !masked).then(|| (Kind::Boolean, format!("holds only `{no}` and `{yes}`")))
}

fn text_kind(state: &ColumnState, data_type: &str) -> (Kind, String) {
    let Some(texts) = &state.texts else { return (Kind::Text, String::new()) };
    if data_type != "Utf8" {
        return (Kind::Nested, format!("its type is {data_type}"));
    }
    let looked_at = texts.looked_at().max(1) as f64;
    let time_share = texts.time_like_count as f64 / looked_at;
    if time_share >= MOST_SHARE {
        return (Kind::Time, format!("{:.0} % of the texts read as dates", 100.0 * time_share));
    }
    let mut shapes: Vec<u64> = texts.patterns.values().copied().collect();
    shapes.sort_unstable_by(|left, right| right.cmp(left));
    let shape_share = shapes.iter().take(2).sum::<u64>() as f64 / looked_at;
    let length_max = texts.lengths.quantiles.maximum().unwrap_or(0.0);
    let same_length = texts.lengths.quantiles.minimum() == Some(length_max);
    if let Some(unique) = unique(state)
        && length_max <= IDENTIFIER_LENGTH_MAX
        && (same_length || shape_share >= IDENTIFIER_SHAPE_SHARE_MIN)
    {
        return (Kind::Identifier, format!("{unique}, {:.0} % in one or two shapes", 100.0 * shape_share));
    }
    if let Some(few) = few(state, CATEGORY_TEXT_COUNT_MAX) {
        return (Kind::Category, few);
    }
    let (distinct_count, _) = state.distinct_count();
    (Kind::Text, format!("{distinct_count} different texts in {} rows", state.value_count()))
}

fn number_kind(state: &ColumnState) -> (Kind, String) {
    let Some(numbers) = &state.numbers else { return (Kind::Nested, "its values were taken out".to_owned()) };
    let finite_count = numbers.moments.count;
    if finite_count == 0 {
        return (Kind::Number, "no value is finite".to_owned());
    }
    let whole = numbers.whole_count == finite_count;
    if whole
        && numbers.integer_range.is_some()
        && let Some(unique) = unique(state)
    {
        return (Kind::Identifier, format!("whole numbers, {unique}"));
    }
    if whole && let Some(few) = few(state, CATEGORY_NUMBER_COUNT_MAX) {
        return (Kind::Category, format!("whole numbers, {few}"));
    }
    if whole {
        return (Kind::Integer, "every finite value is a whole number".to_owned());
    }
    let fraction_count = finite_count - numbers.whole_count;
    (Kind::Number, format!("{fraction_count} of {finite_count} finite values have a fraction"))
}

/// Why a column counts as unique, if it does.
fn unique(state: &ColumnState) -> Option<String> {
    let count = state.value_count();
    let (repeated, exact) = state.repeated_share();
    if count < IDENTIFIER_COUNT_MIN || repeated > 0.0 {
        return None;
    }
    if exact {
        return Some(format!("all {count} values differ"));
    }
    let sampled = state.frequent.repeats().map_or(0, |sample| sample.sizes().1);
    Some(format!("no value of a sample of {sampled} comes twice in {count} rows"))
}

/// Why a column counts as one of a few values, if it does.
fn few(state: &ColumnState, count_max: u64) -> Option<String> {
    let (distinct_count, exact) = state.distinct_count();
    let (repeated, _) = state.repeated_share();
    let is_few = exact && distinct_count <= count_max && repeated >= CATEGORY_REPEATED_SHARE_MIN;
    is_few.then(|| format!("{distinct_count} different values in {} rows", state.value_count()))
}
