//! Record batches to an [`Input`]: which column is what, and how its values become numbers.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema, SchemaRef};

use crate::PoisonError;
use crate::input::{Column, ColumnKind, Features, Groups, Images, Input, VALUE_COUNT_MAX};
use crate::table::Matrix;
use crate::words::TextReader;

/// Columns of features that are read; the rest is left out, and the report says so.
pub const FEATURE_COUNT_MAX: usize = 4_096;
/// Values of a category that are told apart; all others are one.
pub const CATEGORY_COUNT_MAX: usize = 200;
/// Bytes of a category's value that are kept.
const CATEGORY_BYTES_MAX: usize = 64;
/// The mean length in bytes from which a column of strings is text, judged on the first batch.
const TEXT_BYTES_MIN: usize = 24;
/// The category of missing values, and of those beyond [`CATEGORY_COUNT_MAX`].
const MISSING: &str = "(missing)";
const OTHER: &str = "(other)";
/// Names that a label column has when nobody says which it is.
const LABEL_NAMES: [&str; 4] = ["label", "target", "class", "y"];

/// What a column is to the screens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A number or a category.
    Feature,
    /// The class of the row.
    Label,
    /// Who brought the row.
    Source,
    /// Free text.
    Text,
    /// A list of numbers of one length.
    Embedding,
    /// Out-of-sample class probabilities, a list in the order of the classes' sorted names.
    Probabilities,
    /// A list of bytes: pixels row by row, the channels of a pixel side by side.
    Image {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Values of a pixel.
        channels: usize,
    },
    /// Not looked at.
    Ignored,
}

/// What the columns are, by name; columns that are not named are guessed.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// Given roles.
    pub given: HashMap<String, Role>,
}

/// Reads record batches in row order.
#[derive(Debug)]
pub struct Encoder {
    readers: Vec<Reader>,
    rows: usize,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Reader {
    name: String,
    role: Role,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Nothing is read.
    None,
    Numbers(Vec<f32>),
    Codes(Codes),
    /// Undecided until the first batch: a category or a text.
    Strings,
    Text(Box<TextReader>),
    /// Lists of one length, which the first row sets.
    Lists {
        length: Option<usize>,
        values: Vec<f32>,
    },
    Pixels(Vec<u8>),
}

/// Values by number, in the order in which they came.
#[derive(Debug, Default)]
struct Codes {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    of_rows: Vec<u32>,
    limit: usize,
}

impl Codes {
    fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    fn push(&mut self, value: &str) {
        let mut end = value.len().min(CATEGORY_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let mut value = value.get(..end).unwrap_or_default();
        if !self.numbers.contains_key(value) && self.names.len() >= self.limit {
            value = OTHER;
        }
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(value.to_owned()).or_insert_with(|| {
            self.names.push(value.to_owned());
            next
        });
        self.of_rows.push(number);
    }

    /// With the names sorted, numbers before words.
    fn sorted(self) -> Groups {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        let key = |place: &usize| self.names.get(*place).map(|name| (name.parse::<f64>().unwrap_or(f64::INFINITY), name.clone()));
        order.sort_by(|left, right| key(left).partial_cmp(&key(right)).unwrap_or(std::cmp::Ordering::Equal));
        let mut place_of = vec![0_u32; order.len()];
        for (place, old) in order.iter().enumerate() {
            crate::at::put(&mut place_of, *old, u32::try_from(place).unwrap_or(u32::MAX));
        }
        Groups {
            of_rows: self.of_rows.iter().map(|number| crate::at::at(&place_of, *number as usize)).collect(),
            names: order.iter().filter_map(|old| self.names.get(*old).cloned()).collect(),
        }
    }
}

impl Encoder {
    /// An encoder for batches of a schema.
    ///
    /// # Errors
    /// `Shape` if a role names a column that is not there.
    pub fn new(schema: &SchemaRef, roles: &Roles) -> Result<Self, PoisonError> {
        if let Some(name) = roles.given.keys().find(|name| schema.index_of(name).is_err()) {
            return Err(PoisonError::Shape(format!("there is no column `{name}`")));
        }
        let mut notes = Vec::new();
        let roles = &image_folder(schema).map_or_else(|| roles.clone(), |guessed| roles.over(guessed));
        let label = label_column(schema, roles, &mut notes);
        let mut features = 0;
        let mut readers = Vec::with_capacity(schema.fields().len());
        for (place, field) in schema.fields().iter().enumerate() {
            let given = roles.given.get(field.name()).cloned();
            let mut role = if label == Some(place) { Role::Label } else { given.unwrap_or_else(|| guess(field.data_type())) };
            if role == Role::Feature {
                features += 1;
                if features == FEATURE_COUNT_MAX + 1 {
                    notes.push(format!("only the first {FEATURE_COUNT_MAX} columns of features are screened"));
                }
                if features > FEATURE_COUNT_MAX {
                    role = Role::Ignored;
                }
            }
            if role == Role::Ignored && !roles.given.contains_key(field.name()) && features <= FEATURE_COUNT_MAX {
                notes.push(format!("the column `{}` of {} is not screened", field.name(), field.data_type()));
            }
            let values = values_for(&role, field.data_type());
            readers.push(Reader { name: field.name().clone(), role, values });
        }
        Ok(Self { readers, rows: 0, notes })
    }

    /// The column that was taken as the label, if any.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.readers.iter().find(|reader| reader.role == Role::Label).map(|reader| reader.name.as_str())
    }

    /// Reads the next rows.
    ///
    /// # Errors
    /// `Shape` if a column does not fit its role; `TooLarge` if there are more values than can be scanned at once.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), PoisonError> {
        if batch.num_columns() != self.readers.len() {
            return Err(PoisonError::Shape(format!("a batch has {} columns, not {}", batch.num_columns(), self.readers.len())));
        }
        let features = self.readers.iter().filter(|reader| reader.role == Role::Feature).count();
        self.rows += batch.num_rows();
        if self.rows.saturating_mul(features) > VALUE_COUNT_MAX {
            return Err(PoisonError::TooLarge(format!("more than {VALUE_COUNT_MAX} values; scan a sample of the rows")));
        }
        for (reader, column) in self.readers.iter_mut().zip(batch.columns()) {
            reader.read(column)?;
        }
        Ok(())
    }

    /// The input that was read.
    ///
    /// # Errors
    /// As [`Input::check`].
    pub fn finish(self) -> Result<Input, PoisonError> {
        let mut input = Input { notes: self.notes, ..Input::default() };
        let mut columns: Vec<(Column, Vec<f32>)> = Vec::new();
        for reader in self.readers {
            reader.finish(&mut input, &mut columns)?;
        }
        let width = columns.len();
        let mut values = vec![0.0_f32; width * self.rows];
        for (place, (_, own)) in columns.iter().enumerate() {
            for (row, value) in values.chunks_exact_mut(width.max(1)).zip(own) {
                crate::at::put(row, place, *value);
            }
        }
        input.features =
            Features { columns: columns.into_iter().map(|(column, _)| column).collect(), values: Matrix::new(width, values)? };
        input.check()?;
        Ok(input)
    }
}

impl Roles {
    /// These roles, and others for the columns that these do not name.
    fn over(&self, others: HashMap<String, Role>) -> Self {
        let mut given = others;
        if self.given.values().any(|role| *role == Role::Label) {
            given.retain(|_, role| *role != Role::Label);
        }
        given.extend(self.given.clone());
        Self { given }
    }
}

/// The roles of a folder of images as it is read into a table: one square of pixels a row, the class by its folder.
fn image_folder(schema: &Schema) -> Option<HashMap<String, Role>> {
    let is_there = |name: &&str| schema.field_with_name(name).is_ok();
    if !["path", "class", "sha256", "pixels"].iter().all(is_there) {
        return None;
    }
    let DataType::FixedSizeList(_, length) = schema.field_with_name("pixels").ok()?.data_type() else { return None };
    let length = usize::try_from(*length).ok()?;
    let square = |channels: usize| {
        let side = (length / channels).isqrt();
        (side * side * channels == length).then_some(Role::Image { width: side, height: side, channels })
    };
    let image = square(1).or_else(|| square(3))?;
    let ignored = ["path", "width", "height", "size_bytes", "sha256", "problem"].into_iter().filter(is_there);
    let mut roles: HashMap<String, Role> = ignored.map(|name| (name.to_owned(), Role::Ignored)).collect();
    roles.insert("class".to_owned(), Role::Label);
    roles.insert("pixels".to_owned(), image);
    Some(roles)
}

/// The label's column: as given, else by its name.
fn label_column(schema: &Schema, roles: &Roles, notes: &mut Vec<String>) -> Option<usize> {
    let given = |role: &Role| *role == Role::Label;
    if let Some((name, _)) = roles.given.iter().find(|(_, role)| given(role)) {
        return schema.index_of(name).ok();
    }
    for name in LABEL_NAMES {
        let named = |(_, field): &(usize, &std::sync::Arc<arrow_schema::Field>)| {
            field.name().eq_ignore_ascii_case(name) && !roles.given.contains_key(field.name())
        };
        if let Some((place, field)) = schema.fields().iter().enumerate().find(named) {
            notes.push(format!("the column `{}` is taken as the label, by its name", field.name()));
            return Some(place);
        }
    }
    notes.push("no column is the label: screens that need labels did not run".to_owned());
    None
}

fn guess(kind: &DataType) -> Role {
    match kind {
        DataType::FixedSizeList(_, _) | DataType::List(_) | DataType::LargeList(_) => Role::Embedding,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean | DataType::Dictionary(_, _) => {
            Role::Feature
        }
        kind if kind.is_numeric() || kind.is_temporal() => Role::Feature,
        _ => Role::Ignored,
    }
}

fn values_for(role: &Role, kind: &DataType) -> Values {
    let strings = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _));
    match role {
        Role::Ignored => Values::None,
        // One more than may be scanned, so that too many are noticed.
        Role::Label => Values::Codes(Codes::new(crate::CLASS_COUNT_MAX + 1)),
        Role::Source => Values::Codes(Codes::new(100_000)),
        Role::Text => Values::Text(Box::default()),
        Role::Embedding | Role::Probabilities => Values::Lists { length: None, values: Vec::new() },
        Role::Image { .. } => Values::Pixels(Vec::new()),
        Role::Feature if strings => Values::Strings,
        Role::Feature => Values::Numbers(Vec::new()),
    }
}

impl Reader {
    fn read(&mut self, column: &dyn Array) -> Result<(), PoisonError> {
        if matches!(self.values, Values::Strings) {
            self.values = if is_text(&self.cast(column, &DataType::Utf8)?) {
                Values::Text(Box::default())
            } else {
                Values::Codes(Codes::new(CATEGORY_COUNT_MAX))
            };
        }
        let strings = match self.values {
            Values::Codes(_) | Values::Text(_) => Some(self.cast(column, &DataType::Utf8)?),
            _ => None,
        };
        let numbers = match self.values {
            Values::Numbers(_) => Some(self.numbers(column)?),
            _ => None,
        };
        match &mut self.values {
            Values::None | Values::Strings => {}
            Values::Numbers(values) => {
                if let Some(numbers) = &numbers {
                    values.extend(numbers.as_primitive::<Float32Type>().iter().map(|value| value.unwrap_or(f32::NAN)));
                }
            }
            Values::Codes(codes) => {
                for value in strings.iter().flat_map(|strings| strings.as_string::<i32>().iter()) {
                    codes.push(value.unwrap_or(MISSING));
                }
            }
            Values::Text(reader) => {
                for value in strings.iter().flat_map(|strings| strings.as_string::<i32>().iter()) {
                    reader.push(value.unwrap_or_default());
                }
            }
            Values::Lists { length, values } => read_lists(&self.name, column, length, values)?,
            Values::Pixels(pixels) => read_pixels(&self.name, &self.role, column, pixels)?,
        }
        Ok(())
    }

    fn cast(&self, column: &dyn Array, to: &DataType) -> Result<arrow_array::ArrayRef, PoisonError> {
        cast(column, to).map_err(|error| PoisonError::Shape(format!("the column `{}` cannot be read: {error}", self.name)))
    }

    /// Values as numbers; times as their count of units.
    fn numbers(&self, column: &dyn Array) -> Result<arrow_array::ArrayRef, PoisonError> {
        if column.data_type().is_temporal() {
            let counts = match column.data_type() {
                DataType::Date32 | DataType::Time32(_) => self.cast(column, &DataType::Int32)?,
                _ => self.cast(column, &DataType::Int64)?,
            };
            return self.cast(&counts, &DataType::Float32);
        }
        self.cast(column, &DataType::Float32)
    }

    fn finish(self, input: &mut Input, columns: &mut Vec<(Column, Vec<f32>)>) -> Result<(), PoisonError> {
        let name = self.name;
        match (self.values, self.role) {
            (Values::Numbers(values), _) => columns.push((Column { name, kind: ColumnKind::Number }, values)),
            (Values::Codes(codes), Role::Label) => input.labels = Some(codes.sorted()),
            (Values::Codes(codes), Role::Source) => input.sources = Some(codes.sorted()),
            (Values::Codes(codes), _) => {
                let groups = codes.sorted();
                let values = groups.of_rows.iter().map(|code| *code as f32).collect();
                columns.push((Column { name, kind: ColumnKind::Category(groups.names) }, values));
            }
            (Values::Text(reader), _) => {
                let (texts, skipped) = reader.finish();
                if skipped > 0 {
                    input.notes.push(format!("{skipped} texts of `{name}` are not screened: there are too many words"));
                }
                if input.texts.is_some() {
                    input.notes.push(format!("the column `{name}` is not screened: only one column of texts is"));
                } else {
                    input.texts = Some(texts);
                }
            }
            (Values::Lists { length, values }, role) => {
                let lists = Matrix::new(length.unwrap_or(0), values)?;
                match role {
                    Role::Probabilities => input.probabilities = Some(lists),
                    _ if input.embeddings.is_some() => {
                        input.notes.push(format!("the column `{name}` is not screened: only one column of embeddings is"));
                    }
                    _ => input.embeddings = Some(lists),
                }
            }
            (Values::Pixels(pixels), Role::Image { width, height, channels }) => {
                input.images = Some(Images { width, height, channels, pixels });
            }
            (Values::Pixels(_) | Values::None | Values::Strings, _) => {}
        }
        Ok(())
    }
}

fn is_text(strings: &dyn Array) -> bool {
    let strings = strings.as_string::<i32>();
    let known = strings.len() - strings.null_count();
    let bytes: usize = strings.iter().flatten().map(str::len).sum();
    bytes >= TEXT_BYTES_MIN * known.max(1)
}

/// The values of a list column as one array, with where each row's begin.
fn lists(name: &str, column: &dyn Array) -> Result<(arrow_array::ArrayRef, Vec<usize>), PoisonError> {
    let refuse = || PoisonError::Shape(format!("the column `{name}` of {} does not hold lists", column.data_type()));
    // A list of fixed size has its place even where it is missing; its values read as zero there.
    if column.null_count() > 0 && !matches!(column.data_type(), DataType::FixedSizeList(_, _)) {
        return Err(PoisonError::Shape(format!("the column `{name}` has rows without a list")));
    }
    match column.data_type() {
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).map_err(|_| refuse())?;
            let list = column.as_fixed_size_list();
            let from = list.value_offset(0).unsigned_abs() as usize;
            Ok((list.values().clone(), (0..=column.len()).map(|row| from + row * length).collect()))
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            Ok((list.values().clone(), list.value_offsets().iter().map(|from| from.unsigned_abs() as usize).collect()))
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            let starts = list.value_offsets().iter().map(|from| usize::try_from(*from).unwrap_or(0));
            Ok((list.values().clone(), starts.collect()))
        }
        _ => Err(refuse()),
    }
}

fn read_lists(name: &str, column: &dyn Array, length: &mut Option<usize>, out: &mut Vec<f32>) -> Result<(), PoisonError> {
    if column.is_empty() {
        return Ok(());
    }
    let (values, starts) = lists(name, column)?;
    let values = cast(&values, &DataType::Float32)
        .map_err(|error| PoisonError::Shape(format!("the column `{name}` does not hold numbers: {error}")))?;
    let values = values.as_primitive::<Float32Type>().values();
    for pair in starts.windows(2) {
        let [from, to] = pair else { continue };
        let wanted = *length.get_or_insert(to - from);
        if to - from != wanted {
            return Err(PoisonError::Shape(format!("the column `{name}` has lists of {wanted} and of {} values", to - from)));
        }
        out.extend_from_slice(values.get(*from..*to).unwrap_or(&[]));
        if out.len() > VALUE_COUNT_MAX {
            return Err(PoisonError::TooLarge(format!("the column `{name}` has more than {VALUE_COUNT_MAX} values")));
        }
    }
    Ok(())
}

fn read_pixels(name: &str, role: &Role, column: &dyn Array, out: &mut Vec<u8>) -> Result<(), PoisonError> {
    let Role::Image { width, height, channels } = role else { return Ok(()) };
    if column.is_empty() {
        return Ok(());
    }
    let wanted = width * height * channels;
    let (values, starts) = lists(name, column)?;
    // Whole numbers are bytes; fractions are shares of full brightness.
    let scale = if values.data_type().is_floating() { 255.0 } else { 1.0 };
    let values = cast(&values, &DataType::Float32)
        .map_err(|error| PoisonError::Shape(format!("the column `{name}` does not hold pixels: {error}")))?;
    let values = values.as_primitive::<Float32Type>().values();
    for pair in starts.windows(2) {
        let [from, to] = pair else { continue };
        if to - from != wanted {
            return Err(PoisonError::Shape(format!("the column `{name}` has images of {wanted} and of {} values", to - from)));
        }
        // What is not a number, or too great, is cut to the range of a byte.
        out.extend(values.get(*from..*to).unwrap_or(&[]).iter().map(|value| (value * scale).round() as u8));
        if out.len() > VALUE_COUNT_MAX {
            return Err(PoisonError::TooLarge(format!("the column `{name}` has more than {VALUE_COUNT_MAX} pixels")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
