//! The pass over the rows.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, SchemaRef};

use crate::column::{ColumnState, Scratch, observe};
use crate::error::ProfileError;
use crate::hash::of_word;
use crate::limits::{COLUMN_COUNT_MAX, ROW_REGISTER_POWER, ROW_SAMPLE_COUNT, STRUCTURE_DEPTH_MAX, SketchSizes};
use crate::report::{ColumnProfile, Profile, RowState};
use crate::sketch::distinct::Distinct;
use crate::sketch::sample::Sample;

/// How a profile is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What hashes begin with. Profiles that shall be merged or compared need the same; a secret one keeps others from making
    /// data that fools the sketches.
    pub seed: u64,
}

/// Makes a profile of one table, or of one part of it.
#[derive(Debug)]
pub struct Profiler {
    seed: u64,
    row_count: u64,
    columns: Vec<Column>,
    distinct_rows: Distinct,
    row_sample: Sample,
    row_hashes: Vec<u64>,
    scratch: Scratch,
}

#[derive(Debug)]
struct Column {
    name: String,
    data_type: DataType,
    /// The positions that lead to it: of the column, then inside of structures.
    path: Vec<usize>,
    state: ColumnState,
}

impl Profiler {
    /// For tables of this schema.
    ///
    /// # Errors
    /// [`ProfileError::TooManyColumns`] past [`COLUMN_COUNT_MAX`].
    pub fn new(schema: &SchemaRef, options: &Options) -> Result<Self, ProfileError> {
        let mut leaves = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            add_leaves(&mut leaves, field, String::new(), vec![at])?;
        }
        let sizes = SketchSizes::for_columns(leaves.len());
        let columns = leaves.into_iter().enumerate().map(|(at, (name, data_type, path))| {
            let state = ColumnState::new(&data_type, sizes, of_word(options.seed, at as u64));
            Column { name, data_type, path, state }
        });
        Ok(Self {
            seed: options.seed,
            row_count: 0,
            columns: columns.collect(),
            distinct_rows: Distinct::new(ROW_REGISTER_POWER),
            row_sample: Sample::new(ROW_SAMPLE_COUNT),
            row_hashes: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// Takes rows.
    ///
    /// # Errors
    /// [`ProfileError::OtherSchema`] if the batch lacks a column or has it with another type; nothing of it is taken then.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), ProfileError> {
        let arrays = self.columns.iter().map(|column| column.array(batch)).collect::<Result<Vec<_>, _>>()?;
        self.row_hashes.clear();
        self.row_hashes.resize(batch.num_rows(), of_word(self.seed, u64::MAX));
        for (column, array) in self.columns.iter_mut().zip(&arrays) {
            observe(&mut column.state, array, self.seed, &mut self.scratch, &mut self.row_hashes);
        }
        self.row_count += batch.num_rows() as u64;
        self.distinct_rows.extend(&self.row_hashes);
        self.row_sample.extend(&self.row_hashes);
        Ok(())
    }

    /// Joins the profiler of another part of the same table.
    ///
    /// # Errors
    /// [`ProfileError::OtherSchema`] or [`ProfileError::OtherSeed`] if it is not of the same table.
    pub fn merge(&mut self, other: Self) -> Result<(), ProfileError> {
        if self.seed != other.seed {
            return Err(ProfileError::OtherSeed);
        }
        let same = |(own, their): (&Column, &Column)| own.name == their.name && own.data_type == their.data_type;
        if self.columns.len() != other.columns.len() || !self.columns.iter().zip(&other.columns).all(same) {
            return Err(ProfileError::OtherSchema { difference: "two parts of one table differ".to_owned() });
        }
        self.row_count += other.row_count;
        self.distinct_rows.merge(&other.distinct_rows);
        self.row_sample.merge(&other.row_sample);
        for (own, their) in self.columns.iter_mut().zip(other.columns) {
            own.state.merge(&their.state);
        }
        Ok(())
    }

    /// Rows taken so far.
    #[must_use]
    pub const fn row_count(&self) -> u64 {
        self.row_count
    }

    /// The profile of what was taken.
    #[must_use]
    pub fn finish(self) -> Profile {
        let columns = self.columns.into_iter();
        let columns = columns.map(|column| ColumnProfile::of(column.name, column.data_type.to_string(), column.state));
        let rows = RowState {
            seed_check: format!("{:016x}", of_word(self.seed, self.seed)),
            distinct: self.distinct_rows,
            sample: self.row_sample,
        };
        Profile::of(self.row_count, columns.collect(), rows)
    }
}

type Leaf = (String, DataType, Vec<usize>);

/// The column, or those inside of it if it is a structure.
fn add_leaves(leaves: &mut Vec<Leaf>, field: &Field, outer: String, path: Vec<usize>) -> Result<(), ProfileError> {
    let name = if outer.is_empty() { field.name().clone() } else { format!("{outer}.{}", field.name()) };
    if let DataType::Struct(fields) = field.data_type()
        && path.len() < STRUCTURE_DEPTH_MAX
        && !fields.is_empty()
    {
        for (at, inner) in fields.iter().enumerate() {
            add_leaves(leaves, inner, name.clone(), [path.as_slice(), &[at]].concat())?;
        }
        return Ok(());
    }
    leaves.push((name, plain(field.data_type()), path));
    if leaves.len() > COLUMN_COUNT_MAX {
        return Err(ProfileError::TooManyColumns { column_count: leaves.len() });
    }
    Ok(())
}

/// The type without its layout: parts of one table may come as dictionaries and views, or not.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(value),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        other => other.clone(),
    }
}

impl Column {
    /// Its array in a batch; a value inside of a missing structure is missing.
    fn array(&self, batch: &RecordBatch) -> Result<ArrayRef, ProfileError> {
        let other = |found: &str| ProfileError::OtherSchema {
            difference: format!("`{}` is {found}, it was {}", self.name, self.data_type),
        };
        let (first, inner) = self.path.split_first().ok_or_else(|| other("nowhere"))?;
        let mut array = batch.columns().get(*first).ok_or_else(|| other("missing"))?.clone();
        for at in inner {
            let outer = array.as_struct_opt().ok_or_else(|| other("no structure"))?;
            let nulls = outer.nulls().cloned();
            let within = outer.columns().get(*at).ok_or_else(|| other("missing"))?.clone();
            array = with_nulls(within, nulls.as_ref());
        }
        if plain(array.data_type()) != self.data_type {
            return Err(other(&array.data_type().to_string()));
        }
        Ok(array)
    }
}

fn with_nulls(array: ArrayRef, nulls: Option<&NullBuffer>) -> ArrayRef {
    if nulls.is_none_or(|nulls| nulls.null_count() == 0) || array.data_type().is_null() {
        return array;
    }
    let united = NullBuffer::union(array.nulls(), nulls);
    let built = array.to_data().into_builder().nulls(united).build();
    // Types without a validity of their own (unions) stay as they are.
    built.map_or(array, make_array)
}

#[cfg(test)]
#[path = "profiler_tests.rs"]
mod tests;
