//! Exact numbers: 64-bit unsigned integers and decimals, of which no other type of this crate holds all.
//!
//! Two of them that differ must not become one: keys would repeat that do not. So all their values are looked at before the
//! schema is settled: whole numbers become 64-bit integers and fractions floating point numbers, unless one is so large that it
//! would not come out whole. Then the column keeps its own type.

use std::collections::HashMap;

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, UInt64Type};
use arrow_schema::{DataType, Fields};

/// Decimal digits that a floating point number keeps.
const FLOAT_DIGIT_COUNT: usize = 15;
/// The first whole number of more digits.
const FLOAT_WHOLE_MAX: u128 = 1_000_000_000_000_000;
/// Digits that every 64-bit integer may have.
const I64_DIGIT_COUNT: i64 = 18;

/// What the values of one column are like, in all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    /// They may have fractions, or are short: a floating point number is their type.
    is_float: bool,
    /// One has more digits than a floating point number keeps.
    is_long: bool,
    /// One has so many before the point.
    is_wide: bool,
    /// One is no 64-bit signed integer.
    is_huge: bool,
}

/// The type that keeps a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Integer,
    Float,
    /// Floating point numbers, which lose digits behind the point.
    Rounded,
    /// Its own type.
    Own,
}

/// A column that holds exact numbers.
pub(crate) struct Leaf {
    name: String,
    /// The root column, then the child of each struct on the way.
    pub path: Vec<usize>,
    data_type: DataType,
}

impl Exact {
    /// What a column's type tells.
    fn of(data_type: &DataType) -> Self {
        let is_float =
            matches!(decimal(data_type), Some((precision, scale)) if scale != 0 || usize::from(precision) <= FLOAT_DIGIT_COUNT);
        Self { is_float, ..Self::default() }
    }

    pub(crate) const fn kept(self) -> Kept {
        match self {
            Self { is_float: true, is_wide: true, .. } | Self { is_float: false, is_huge: true, .. } => Kept::Own,
            Self { is_float: true, is_long: true, .. } => Kept::Rounded,
            Self { is_float: true, .. } => Kept::Float,
            Self { is_float: false, .. } => Kept::Integer,
        }
    }

    fn join(&mut self, other: Self) {
        self.is_float |= other.is_float;
        self.is_long |= other.is_long;
        self.is_wide |= other.is_wide;
        self.is_huge |= other.is_huge;
    }
}

fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// Whether no other type of this crate holds all values of this one.
pub(crate) fn is_exact(data_type: &DataType) -> bool {
    data_type == &DataType::UInt64 || decimal(data_type).is_some()
}

/// The columns whose values must be looked at, with the root columns to read for it: paths begin at a place among those. What
/// types alone tell is noted.
pub(crate) fn open_leaves(fields: &Fields, exact: &mut HashMap<String, Exact>) -> (Vec<usize>, Vec<Leaf>) {
    let mut open = leaves(fields);
    open.iter().for_each(|leaf| leaf.begin(exact));
    open.retain(Leaf::is_open);
    let mut roots: Vec<usize> = open.iter().filter_map(|leaf| leaf.path.first().copied()).collect();
    roots.dedup();
    for leaf in &mut open {
        if let Some(first) = leaf.path.first_mut() {
            *first = roots.binary_search(first).unwrap_or(0);
        }
    }
    (roots, open)
}

fn leaves(fields: &Fields) -> Vec<Leaf> {
    let mut found = Vec::new();
    add(fields, "", &[], &mut found);
    found
}

fn add(fields: &Fields, prefix: &str, path: &[usize], found: &mut Vec<Leaf>) {
    if path.len() > crate::limits::DEPTH_MAX {
        return;
    }
    for (index, field) in fields.iter().enumerate() {
        let name = if prefix.is_empty() { field.name().clone() } else { format!("{prefix}.{}", field.name()) };
        let path: Vec<usize> = path.iter().copied().chain([index]).collect();
        match field.data_type() {
            DataType::Struct(children) => add(children, &name, &path, found),
            data_type if is_exact(data_type) => {
                found.push(Leaf { name, path, data_type: data_type.clone() });
            }
            _ => {}
        }
    }
}

impl Leaf {
    /// Whether its type alone does not settle how it is kept.
    fn is_open(&self) -> bool {
        decimal(&self.data_type).is_none_or(|(precision, _)| usize::from(precision) > FLOAT_DIGIT_COUNT)
    }

    /// Notes the column, before any value.
    fn begin(&self, known: &mut HashMap<String, Exact>) {
        known.entry(self.name.clone()).or_default().join(Exact::of(&self.data_type));
    }

    /// Looks at values of it.
    pub(crate) fn see(&self, values: &dyn Array, known: &mut HashMap<String, Exact>) {
        let exact = known.entry(self.name.clone()).or_default();
        let scale = decimal(&self.data_type).map_or(0, |(_, scale)| scale);
        if let Some(values) = values.as_primitive_opt::<UInt64Type>() {
            values.iter().flatten().for_each(|value| exact.see(i128::from(value), scale));
        } else if let Some(values) = values.as_primitive_opt::<Decimal32Type>() {
            values.iter().flatten().for_each(|value| exact.see(i128::from(value), scale));
        } else if let Some(values) = values.as_primitive_opt::<Decimal64Type>() {
            values.iter().flatten().for_each(|value| exact.see(i128::from(value), scale));
        } else if let Some(values) = values.as_primitive_opt::<Decimal128Type>() {
            values.iter().flatten().for_each(|value| exact.see(value, scale));
        } else if let Some(values) = values.as_primitive_opt::<Decimal256Type>() {
            for value in values.iter().flatten() {
                match value.to_i128() {
                    Some(value) => exact.see(value, scale),
                    None => exact.see_digits(&value.to_string(), scale),
                }
            }
        }
    }
}

impl Exact {
    fn see(&mut self, unscaled: i128, scale: i8) {
        if scale >= 0 && unscaled.unsigned_abs() < FLOAT_WHOLE_MAX {
            return;
        }
        if scale == 0 {
            self.is_long = true;
            self.is_wide = true;
            self.is_huge |= i64::try_from(unscaled).is_err();
        } else if !self.is_wide {
            self.see_digits(&unscaled.to_string(), scale);
        }
    }

    /// Counts the digits of a decimal, zeros at its end left out.
    fn see_digits(&mut self, unscaled: &str, scale: i8) {
        let digits = unscaled.trim_start_matches('-');
        let is_long = digits.trim_end_matches('0').len() > FLOAT_DIGIT_COUNT;
        let before_point_count = i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_sub(i64::from(scale));
        self.is_long |= is_long;
        self.is_wide |= is_long && before_point_count > FLOAT_DIGIT_COUNT as i64;
        self.is_huge |= before_point_count > I64_DIGIT_COUNT;
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Decimal128Array;

    use super::*;

    fn check(precision: u8, scale: i8, values: &[i128], expected: Kept) {
        let array = Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap();
        let fields = Fields::from(vec![arrow_schema::Field::new("c", array.data_type().clone(), true)]);
        let mut known = HashMap::new();
        for leaf in leaves(&fields) {
            leaf.begin(&mut known);
            leaf.see(&array, &mut known);
        }
        assert_eq!(known["c"].kept(), expected, "{values:?}");
    }

    #[test]
    fn values_settle_the_type() {
        check(10, 2, &[12_345], Kept::Float);
        check(38, 2, &[12_345, 99], Kept::Float);
        check(38, 18, &[1_500_000_000_000_000_000, 0], Kept::Float);
        check(38, 18, &[333_333_333_333_333_333], Kept::Rounded);
        check(38, 2, &[900_719_925_474_099_300, 900_719_925_474_099_301], Kept::Own);
        check(38, 0, &[5, -7], Kept::Integer);
        check(19, 0, &[1_000_000_000_000_000_001], Kept::Integer);
        check(30, 0, &[100_000_000_000_000_000_001], Kept::Own);
    }
}
