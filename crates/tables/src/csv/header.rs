//! Whether a CSV's first record names the columns: what it holds, held against what stands below it.
//!
//! A name may look like a value: tables of other tools have columns named `0`, `1`, … or after years. And a table of texts alone
//! may have no names. Where neither is plain, the guess says so, and becomes a note.

use crate::csv::splitter::Record;
use crate::values::{Kind, classify, parse_float};

/// Values of a column, of ten, that must be typed for a text above them to be its name.
const TYPED_OF_TEN_MIN: usize = 9;
/// How often a text stands in its own column until it is a value like the others.
const RECURRENCE_COUNT_MIN: usize = 3;
/// How many numbers in a record make a scale.
const SCALE_COUNT_MIN: usize = 3;

/// What a first record was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Whether it names the columns.
    pub header: bool,
    /// Whether what stands below says so.
    pub sure: bool,
}

const fn sure(header: bool) -> Guess {
    Guess { header, sure: true }
}

const fn doubtful(header: bool) -> Guess {
    Guess { header, sure: false }
}

/// The first record and its columns below.
#[derive(Default)]
pub(crate) struct Head {
    columns: Vec<Column>,
    /// Records below the first.
    below_count: usize,
    /// Those of them whose numbers are a scale too.
    scale_count: usize,
}

/// One column.
struct Column {
    first: String,
    kind: Kind,
    /// Values below by family, nulls left out.
    families: [usize; FAMILY_COUNT],
    fraction_count: usize,
    recurrence_count: usize,
    /// Values below with each of the traits.
    traits: [usize; TRAIT_COUNT],
}

const FAMILY_COUNT: usize = 4;
const TRAIT_COUNT: usize = 4;

/// Texts, numbers, times and truth values; nulls are none of them.
const fn family(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Empty | Kind::NullWord => None,
        Kind::Text | Kind::Json | Kind::Numbers => Some(0),
        Kind::Integer | Kind::Float | Kind::Code => Some(1),
        Kind::Date | Kind::Timestamp | Kind::Instant => Some(2),
        Kind::Boolean => Some(3),
    }
}

/// What tells names from the values below them: capitals, blanks, digits, underscores.
fn traits(text: &str) -> [bool; TRAIT_COUNT] {
    [
        text.chars().any(char::is_uppercase),
        text.contains(char::is_whitespace),
        text.bytes().any(|byte| byte.is_ascii_digit()),
        text.contains('_'),
    ]
}

impl Head {
    /// Takes the next record.
    pub(crate) fn see(&mut self, record: &Record, text: &str) {
        let mut fields = (0..record.field_count()).map_while(|index| record.field(text, index)).map(|(field, _)| field.trim());
        if self.columns.is_empty() {
            self.columns = fields.map(Column::new).collect();
            return;
        }
        self.below_count += 1;
        let mut numbers = Vec::new();
        for column in &mut self.columns {
            let Some(field) = fields.next() else { break };
            column.see(field);
            if column.is_number() {
                numbers.extend(parse_float(field));
            }
        }
        self.scale_count += usize::from(is_scale(&numbers));
    }

    /// What the first record is.
    pub(crate) fn guess(&self) -> Guess {
        let count = |wanted: fn(&Column) -> bool| self.columns.iter().filter(|column| wanted(column)).count();
        let text_count = count(|column| column.kind == Kind::Text);
        let typed_count = count(Column::is_typed);
        if self.below_count == 0 {
            return sure(text_count > 0 && typed_count == 0);
        }
        let named_count = count(Column::is_named);
        let like_count = count(Column::is_like_its_values);
        let is_scale = self.is_scale();
        if named_count > 0 {
            return match like_count {
                0 => sure(true),
                _ if is_scale => sure(true),
                _ => doubtful(named_count >= like_count),
            };
        }
        let recurs = self.columns.iter().map(|column| column.recurrence_count).max().unwrap_or(0);
        if typed_count == 0 {
            return match recurs {
                _ if text_count == 0 => sure(false),
                0 if count(Column::differs) > 0 => sure(true),
                0..RECURRENCE_COUNT_MIN => doubtful(true),
                _ => doubtful(false),
            };
        }
        if recurs >= RECURRENCE_COUNT_MIN {
            return sure(false);
        }
        if is_scale && count(Column::is_name) > 0 {
            return Guess { header: true, sure: self.scale().len() >= SCALE_COUNT_MIN };
        }
        if is_scale && self.scale().len() == self.columns.len() {
            return self.scale_alone();
        }
        let other_count = count(Column::is_unlike_its_values);
        if other_count > like_count {
            return doubtful(true);
        }
        Guess { header: false, sure: like_count > 0 }
    }

    /// A first record of nothing but a scale: names of a table of fractions, if it counts the columns.
    fn scale_alone(&self) -> Guess {
        let scale = self.scale();
        let counts = scale.len() >= SCALE_COUNT_MIN && scale.first() == Some(&0.0) && scale.get(1) == Some(&1.0);
        let years = scale.iter().all(|number| (1900.0..2100.0).contains(number));
        if counts && self.columns.iter().all(|column| column.fraction_count * 2 > self.below_count) {
            return sure(true);
        }
        Guess { header: false, sure: !counts && !years }
    }

    /// Whether the first record's numbers are a scale, and those of most other records are none.
    fn is_scale(&self) -> bool {
        is_scale(&self.scale()) && self.scale_count * 2 < self.below_count
    }

    fn scale(&self) -> Vec<f64> {
        self.columns.iter().filter(|column| column.is_number()).filter_map(|column| parse_float(&column.first)).collect()
    }
}

/// Whether numbers rise by equal steps; two must be whole neighbours.
fn is_scale(numbers: &[f64]) -> bool {
    let [first, second, ..] = numbers else { return false };
    let step = second - first;
    if numbers.len() < SCALE_COUNT_MIN {
        return step == 1.0 && first.fract() == 0.0;
    }
    step > 0.0 && numbers.windows(2).all(|pair| matches!(pair, [a, b] if (b - a - step).abs() <= step * 1e-6))
}

impl Column {
    fn new(first: &str) -> Self {
        Self {
            first: first.to_owned(),
            kind: classify(first),
            families: [0; FAMILY_COUNT],
            fraction_count: 0,
            recurrence_count: 0,
            traits: [0; TRAIT_COUNT],
        }
    }

    fn see(&mut self, field: &str) {
        let kind = classify(field);
        let Some(count) = family(kind).and_then(|family| self.families.get_mut(family)) else { return };
        *count += 1;
        self.fraction_count += usize::from(kind == Kind::Float);
        if kind == Kind::Text {
            self.recurrence_count += usize::from(field == self.first);
            for (count, has) in self.traits.iter_mut().zip(traits(field)) {
                *count += usize::from(has);
            }
        }
    }

    /// A number, a time or a truth value.
    fn is_typed(&self) -> bool {
        family(self.kind).is_some_and(|family| family > 0)
    }

    /// Words such as `nan` and `true` may be names as well.
    fn is_word(&self) -> bool {
        self.first.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_alphabetic())
    }

    fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Integer | Kind::Float) && !self.is_word()
    }

    /// How many values there are below, and how many of them are of the first one's family.
    fn below(&self) -> (usize, usize) {
        let alike = family(self.kind).and_then(|family| self.families.get(family)).copied().unwrap_or(0);
        (self.families.iter().sum(), alike)
    }

    /// A word that is no value of another kind.
    fn is_name(&self) -> bool {
        self.kind == Kind::Text && self.first.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }

    /// A word above typed values.
    fn is_named(&self) -> bool {
        let (total, texts) = self.below();
        self.is_name() && total > 0 && (total - texts) * 10 >= total * TYPED_OF_TEN_MIN
    }

    /// A typed value above others of its family.
    fn is_like_its_values(&self) -> bool {
        let (total, alike) = self.below();
        self.is_typed() && !self.is_word() && alike * 2 > total
    }

    /// A typed value above values of another typed family.
    fn is_unlike_its_values(&self) -> bool {
        let (total, alike) = self.below();
        let texts = self.families.first().copied().unwrap_or(0);
        self.is_typed() && total > 0 && (total - texts - alike) * 10 >= total * TYPED_OF_TEN_MIN
    }

    /// A text that lacks what nearly all texts below it have, or has what they lack.
    fn differs(&self) -> bool {
        let texts = self.families.first().copied().unwrap_or(0);
        let differs = |(has, count): (bool, &usize)| {
            let with = if has { texts - count } else { *count };
            with * 10 >= texts * TYPED_OF_TEN_MIN
        };
        self.kind == Kind::Text && texts > 0 && traits(&self.first).into_iter().zip(&self.traits).any(differs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::splitter::Splitter;

    fn check(text: &str, expected: Guess) {
        let mut head = Head::default();
        let mut splitter = Splitter::new(b',', b'"', 1);
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (taken, complete) = splitter.feed(rest).unwrap();
            assert!(complete, "{text:?}");
            head.see(splitter.record(), std::str::from_utf8(splitter.record().bytes()).unwrap());
            rest = &rest[taken..];
        }
        assert_eq!(head.guess(), expected, "{text:?}");
    }

    fn rows(row: impl Fn(usize) -> String) -> String {
        (0..60).map(|index| row(index) + "\n").collect()
    }

    #[test]
    fn names_that_look_like_values_are_names() {
        let below = rows(|row| format!("{row},{}.5", row / 2));
        for first in ["n,inf", "n,nan", "nan,w", "n,NO", "id,2024-01-01", "true,b", "n,null", "a,", "n,1st", "Infinity,b"] {
            check(&format!("{first}\n{below}"), sure(true));
        }
        check(&format!("1,x\n{below}"), doubtful(true));
        let wine = rows(|row| format!("{row}.5,1.{row},0.{row},{row},{}", row % 3));
        check(&format!("0,1,2,3,target\n{wine}"), sure(true));
        let years = rows(|row| format!("c{row},{row},{}", row * 2));
        check(&format!("country,2019,2020\n{years}"), doubtful(true));
        check(&format!("country,2018,2019,2020\n{}", rows(|row| format!("c{row},{row},{},7", row * 2))), sure(true));
        check(&format!("0,1,2\n{}", rows(|row| format!("{row}.5,0.{row},1.5"))), sure(true));
        check(&format!("400.5,401.0,401.5,w\n{}", rows(|row| format!("0.{row},0.5,1.{row},{row}"))), sure(true));
    }

    #[test]
    fn rows_that_look_like_rows_are_rows() {
        check(&rows(|row| format!("{row},{}.5", row / 2)), sure(false));
        check(&rows(|row| format!("{},State-gov,{row}", row + 30)), sure(false));
        check(&rows(|row| format!("5.{row},3.5,Iris-{}", row % 3)), sure(false));
        check(&rows(|row| format!("{row},{},{}", row + 1, row + 2)), sure(false));
        check(&rows(|row| format!("2024-01-{:02},{row}", row % 28 + 1)), sure(false));
        check(&format!("?,3,4\n{}", rows(|row| format!("{row},{row},{row}"))), sure(false));
        check(&format!("unlimited,3,7\n{}", rows(|row| format!("{row},{row},{row}"))), doubtful(false));
        check(&format!("0,1,2\n{}", rows(|row| format!("{row},5,{row}"))), doubtful(false));
        check(&format!("2019,2020\n{}", rows(|row| format!("{row},{row}.5"))), doubtful(false));
    }

    #[test]
    fn texts_alone_are_told_apart_or_in_doubt() {
        check(&format!("name,kind\n{}", rows(|row| format!("w{row},k{}", row % 3))), sure(true));
        check(&format!("text,label\n{}", rows(|row| format!("This is line {row}.,spam"))), sure(true));
        check(&rows(|row| format!("w{row},k{}", row % 3)), doubtful(false));
        check(&rows(|row| format!("A text with the number {row}.")), doubtful(true));
        check("name\nbob\n", doubtful(true));
        check("a,b\n", sure(true));
        check("1,b\n", sure(false));
    }
}
