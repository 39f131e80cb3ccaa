//! Whether what arrays hold is of the types that a contract names: arrays of the table's own, and those that a reader gave as JSON.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, BooleanBuffer};
use arrow_schema::DataType;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::row_test::{Mask, Readable};
use super::types::{Fit, Source, logical};
use super::values::{is_text, plain, plain_type};
use crate::model::LogicalType;
use crate::rules::Shape;

/// What the values of one type must be, with what is inside of them.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    own: Mask,
    required: bool,
    inner: Inner,
}

#[derive(Clone, Debug)]
enum Inner {
    Nothing,
    Fields(Vec<(usize, Part)>),
    Items(Box<Part>),
    Json(Json),
}

impl Part {
    /// Makes a shape ready for values of this type.
    ///
    /// # Errors
    /// In words, if what is inside of such values cannot be looked at.
    pub(crate) fn new(shape: &Shape, data_type: &DataType, source: Source) -> Result<Self, String> {
        let data_type = plain_type(data_type);
        // Inside of an array nothing is a text that stands for something else, wherever the array was written.
        let source = if source == Source::Csv { Source::Json } else { source };
        let own = match shape.logical.map(|kind| logical(kind, shape.format.as_deref(), shape.timezone, &data_type, source)) {
            None | Some(Fit::Yes) => Mask::Never,
            Some(Fit::Each(mask)) => mask,
            Some(Fit::No(_)) => Mask::Always,
        };
        let mut made = Self { own, required: shape.required, inner: Inner::Nothing };
        made.inner = match (&data_type, &shape.items) {
            (_, None) if shape.fields.is_empty() => Inner::Nothing,
            (DataType::Null, _) => Inner::Nothing,
            // Whatever is inside, the value itself is none of what it must be.
            _ if matches!(made.own, Mask::Always) => Inner::Nothing,
            (text, _) if is_text(text) => Inner::Json(Json::new(shape)?),
            (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _), Some(items)) => {
                Inner::Items(Box::new(Self::new(items, item.data_type(), source)?))
            }
            (DataType::Struct(fields), None) => {
                let mut parts = Vec::new();
                for (name, field) in &shape.fields {
                    match fields.find(name) {
                        Some((index, found)) => parts.push((index, Self::new(field, found.data_type(), source)?)),
                        None if field.required => made.own = Mask::Always,
                        None => {}
                    }
                }
                Inner::Fields(parts)
            }
            (other, _) => return Err(format!("items need arrays, but the column holds {other}")),
        };
        Ok(made)
    }

    /// The values that are not so.
    ///
    /// # Errors
    /// In words, if the test had to be given up.
    pub(super) fn violations(&self, array: &ArrayRef) -> Result<BooleanBuffer, String> {
        let array = plain(array)?;
        let mut bad = self.own.violations(std::slice::from_ref(&array))?;
        if self.required {
            bad = &bad | &Mask::Nulls.violations(std::slice::from_ref(&array))?;
        }
        let inner = match &self.inner {
            Inner::Nothing => return Ok(bad),
            Inner::Json(json) => Mask::NotJson(Box::new(json.clone())).violations(std::slice::from_ref(&array))?,
            Inner::Fields(parts) => fields(parts, &array)?,
            Inner::Items(part) => items(part, &array)?,
        };
        let inner = match array.logical_nulls() {
            None => inner,
            Some(nulls) => &inner & nulls.inner(),
        };
        Ok(&bad | &inner)
    }
}

fn fields(parts: &[(usize, Part)], array: &ArrayRef) -> Result<BooleanBuffer, String> {
    let columns = array.as_struct_opt().ok_or("the column's type changed")?.columns();
    let mut bad = BooleanBuffer::new_unset(array.len());
    for (index, part) in parts {
        let column = columns.get(*index).ok_or("the column's type changed")?;
        bad = &bad | &part.violations(column)?;
    }
    Ok(bad)
}

/// The arrays that hold a value that is not so.
fn items(part: &Part, array: &ArrayRef) -> Result<BooleanBuffer, String> {
    match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            of_ranges(part, lists.values(), lists.value_offsets())
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            of_ranges(part, lists.values(), lists.value_offsets())
        }
        DataType::FixedSizeList(..) => {
            let lists = array.as_fixed_size_list();
            let width = usize::try_from(lists.value_length()).unwrap_or(0);
            let bad = part.violations(lists.values())?;
            let any = |row: usize| bad.slice(row * width, width).count_set_bits() > 0;
            Ok(BooleanBuffer::collect_bool(lists.len(), any))
        }
        other => Err(format!("the column's type changed to {other}")),
    }
}

fn of_ranges<O: ArrowNativeType>(part: &Part, values: &ArrayRef, offsets: &[O]) -> Result<BooleanBuffer, String> {
    let first = offsets.first().map_or(0, |offset| offset.as_usize());
    let last = offsets.last().map_or(0, |offset| offset.as_usize());
    // Only what these rows hold: several batches may share the values.
    let bad = part.violations(&values.slice(first, last - first))?;
    let mut ranges = offsets.windows(2);
    Ok(BooleanBuffer::collect_bool(offsets.len().saturating_sub(1), |_| match ranges.next() {
        Some([from, to]) => {
            let (from, to) = (from.as_usize() - first, to.as_usize() - first);
            bad.slice(from, to - from).count_set_bits() > 0
        }
        _ => false,
    }))
}

/// What a value that is written as JSON must be.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    logical: Option<LogicalType>,
    /// How a date or a time is written.
    reads: Option<Readable>,
    required: bool,
    fields: Vec<(String, Json)>,
    items: Option<Box<Json>>,
}

impl Json {
    fn new(shape: &Shape) -> Result<Self, String> {
        let fit = |kind| logical(kind, shape.format.as_deref(), shape.timezone, &DataType::Utf8, Source::Json);
        let reads = match shape.logical.map(|kind| (kind, fit(kind))) {
            Some((LogicalType::Date | LogicalType::Timestamp | LogicalType::Time, fit)) => match fit {
                Fit::Each(Mask::Unreadable(readable)) => Some(readable),
                Fit::No(problem) => return Err(problem),
                Fit::Yes | Fit::Each(_) => None,
            },
            _ => None,
        };
        let fields: Result<_, String> = shape.fields.iter().map(|(name, field)| Ok((name.clone(), Self::new(field)?))).collect();
        let items = shape.items.as_ref().map(|items| Self::new(items).map(Box::new)).transpose()?;
        Ok(Self { logical: shape.logical, reads, required: shape.required, fields: fields?, items })
    }

    /// Whether a text is JSON of this shape.
    pub(super) fn fits(&self, text: &str) -> bool {
        let text = text.trim();
        let first = text.chars().next().unwrap_or(' ');
        if text == "null" {
            return !self.required;
        }
        let kind = match self.logical {
            None => true,
            Some(LogicalType::String) => first == '"',
            Some(LogicalType::Boolean) => matches!(text, "true" | "false"),
            Some(LogicalType::Number) => text.parse::<f64>().is_ok_and(f64::is_finite),
            Some(LogicalType::Integer) => {
                text.parse::<i128>().is_ok() || text.parse::<f64>().is_ok_and(|value| value.is_finite() && value.fract() == 0.0)
            }
            Some(LogicalType::Array) => first == '[',
            Some(LogicalType::Object) => first == '{',
            Some(LogicalType::Date | LogicalType::Timestamp | LogicalType::Time) => {
                let text: Option<String> = serde_json::from_str(text).ok();
                text.is_some_and(|text| self.reads.as_ref().is_none_or(|readable| readable.reads(&text)))
            }
        };
        let wanted = match (&self.items, self.fields.is_empty()) {
            (Some(_), _) => '[',
            (None, false) => '{',
            (None, true) => return kind,
        };
        kind && first == wanted && self.holds(text)
    }

    /// Whether what is inside of an array or an object fits.
    fn holds(&self, text: &str) -> bool {
        let mut reader = serde_json::Deserializer::from_str(text);
        let fits = reader.deserialize_any(self).unwrap_or(false);
        fits && reader.end().is_ok()
    }
}

impl<'de> Visitor<'de> for &Json {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut fits = true;
        while let Some(item) = items.next_element::<&RawValue>()? {
            fits = fits && self.items.as_ref().is_none_or(|wanted| wanted.fits(item.get()));
        }
        Ok(fits)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut missing: Vec<&str> =
            self.fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name.as_str()).collect();
        let mut fits = true;
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            // Of a key that stands twice readers take either value: both must fit.
            if let Some((name, field)) = self.fields.iter().find(|(name, _)| *name == key) {
                missing.retain(|wanted| wanted != name);
                fits = fits && field.fits(value.get());
            }
        }
        Ok(fits && missing.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Property;

    fn check(items: serde_json::Value, fitting: &[&str], others: &[&str]) {
        let items: Property = serde_json::from_value(items).unwrap();
        let shape = Shape::array_of(&items).unwrap();
        let json = Json::new(&shape).unwrap();
        for text in fitting {
            assert!(json.fits(text), "{text} {json:?}");
        }
        for text in others {
            assert!(!json.fits(text), "{text} {json:?}");
        }
    }

    #[test]
    fn arrays_as_json() {
        use serde_json::json;
        check(
            json!({"logicalType": "integer"}),
            &["[]", " [1, -2, 1.0, null]", "null"],
            &["[\"a\"]", "[1.5]", "[true]", "1", "[1", "[1] 2", ""],
        );
        check(json!({"logicalType": "string", "required": true}), &["[\"a\"]"], &["[null]", "[1]", "['a']", "[[\"a\"]]"]);
        check(json!({"logicalType": "number"}), &["[1, 1e3]"], &["[NaN]", "[\"1\"]"]);
        check(json!({"logicalType": "boolean"}), &["[true]"], &["[\"true\"]", "[0]"]);
        check(json!({"logicalType": "date"}), &["[\"2024-02-29\"]"], &["[\"xx\"]", "[\"2023-02-29\"]", "[20240229]"]);
        check(
            json!({"logicalType": "date", "logicalTypeOptions": {"format": "dd.MM.yyyy"}}),
            &["[\"29.02.2024\"]"],
            &["[\"2024-02-29\"]"],
        );
        check(json!({"logicalType": "array", "items": {"logicalType": "integer"}}), &["[[1], []]"], &["[[\"a\"]]", "[1]"]);
        check(
            json!({"properties": [{"name": "a", "logicalType": "integer", "required": true}, {"name": "b", "logicalType": "string"}]}),
            &["[{\"a\": 1}, {\"a\": 2, \"b\": \"x\", \"c\": []}]"],
            &["[{}]", "[{\"a\": \"x\"}]", "[{\"a\": 1, \"b\": 2}]", "[{\"a\": 1, \"a\": \"x\"}]", "[1]"],
        );
        assert!(Shape::array_of(&Property::default()).is_none());
    }
}
