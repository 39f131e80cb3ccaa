use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, Int64Array, StringArray};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn encoded(batch: &RecordBatch, roles: &[(&str, Role)]) -> Result<Input, PoisonError> {
    let given = roles.iter().map(|(name, role)| ((*name).to_owned(), role.clone())).collect();
    let mut encoder = Encoder::new(&batch.schema(), &Roles { given })?;
    encoder.update(&batch.slice(0, 10))?;
    encoder.update(&batch.slice(10, batch.num_rows() - 10))?;
    encoder.finish()
}

fn example() -> RecordBatch {
    let texts: Vec<String> = (0..30).map(|row| format!("a long enough text about row number {row}")).collect();
    batch(vec![
        ("size", Arc::new(Float64Array::from((0..30).map(|row| (row != 3).then_some(f64::from(row))).collect::<Vec<_>>()))),
        ("colour", Arc::new(StringArray::from((0..30).map(|row| if row % 3 == 0 { "red" } else { "blue" }).collect::<Vec<_>>()))),
        ("is_new", Arc::new(BooleanArray::from((0..30).map(|row| row % 2 == 0).collect::<Vec<_>>()))),
        ("words", Arc::new(StringArray::from(texts))),
        ("Target", Arc::new(Int64Array::from((0..30).map(|row| 10 - i64::from(row % 3)).collect::<Vec<_>>()))),
    ])
}

#[test]
fn columns_find_their_roles_and_the_label_its_column() {
    let input = encoded(&example(), &[]).unwrap();
    let names: Vec<&str> = input.features.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["size", "colour", "is_new"]);
    assert_eq!(input.features.columns[1].kind, ColumnKind::Category(vec!["blue".to_owned(), "red".to_owned()]));
    assert!(input.features.values.row(3)[0].is_nan());
    assert_eq!(input.features.values.row(12), [12.0, 1.0, 1.0]);
    let labels = input.labels.unwrap();
    assert_eq!(labels.names, ["8", "9", "10"]);
    assert_eq!(labels.of_rows[..3], [2, 1, 0]);
    assert_eq!(input.texts.unwrap().words.rows(), 30);
    assert!(input.notes[0].contains("`Target` is taken as the label"), "{:?}", input.notes);
}

#[test]
fn given_roles_rule() {
    let roles = [("colour", Role::Label), ("Target", Role::Source), ("words", Role::Ignored)];
    let input = encoded(&example(), &roles).unwrap();
    assert_eq!(input.labels.unwrap().names, ["blue", "red"]);
    assert_eq!(input.sources.unwrap().names, ["8", "9", "10"]);
    assert!(input.texts.is_none());
    let refused = encoded(&example(), &[("colours", Role::Label)]).unwrap_err();
    assert!(refused.to_string().contains("there is no column `colours`"));
}

#[test]
fn lists_become_embeddings_and_images() {
    let lists = |rows: usize, length: usize| -> ArrayRef {
        let rows =
            (0..rows).map(|row| Some((0..length).map(|place| Some(i32::try_from(row + place).unwrap())).collect::<Vec<_>>()));
        Arc::new(FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(rows, i32::try_from(length).unwrap()))
    };
    let batch = batch(vec![("vector", lists(30, 4)), ("picture", lists(30, 6))]);
    let image = Role::Image { width: 3, height: 2, channels: 1 };
    let input = encoded(&batch, &[("picture", image)]).unwrap();
    assert_eq!(input.embeddings.unwrap().row(11), [11.0, 12.0, 13.0, 14.0]);
    assert_eq!(input.images.unwrap().image(12), [12, 13, 14, 15, 16, 17]);
    let wrong = Role::Image { width: 2, height: 2, channels: 1 };
    assert!(encoded(&batch, &[("picture", wrong)]).unwrap_err().to_string().contains("images of 4 and of 6 values"));
}

#[test]
fn hostile_columns_are_refused_or_left_out_with_a_word() {
    let nothing: ArrayRef = Arc::new(arrow_array::NullArray::new(30));
    let long: ArrayRef = Arc::new(StringArray::from((0..30).map(|row| format!("{row}{}", "x".repeat(500))).collect::<Vec<_>>()));
    let input = encoded(&batch(vec![("nothing", nothing), ("long", long.clone()), ("y", long)]), &[]).unwrap();
    assert!(input.notes.iter().any(|note| note.contains("the column `nothing`")), "{:?}", input.notes);
    let labels = input.labels.unwrap();
    assert_eq!(labels.names.len(), 30);
    assert!(labels.names.iter().all(|name| name.len() <= 64));
    let few = example().slice(0, 12);
    assert_eq!(encoded(&few, &[]).unwrap_err(), PoisonError::TooFewRows(12));
}

#[test]
fn rare_categories_share_a_name() {
    let values: Vec<String> = (0..600).map(|row| format!("v{row}")).collect();
    let input = encoded(&batch(vec![("many", Arc::new(StringArray::from(values)))]), &[]).unwrap();
    let ColumnKind::Category(names) = &input.features.columns[0].kind else { panic!("{:?}", input.features.columns) };
    assert_eq!(names.len(), CATEGORY_COUNT_MAX + 1);
    assert!(names.contains(&OTHER.to_owned()));
}
