//! SQL of what a run read and made: datasets and logged models.

use vault::db::sql::padded;
use vault::db::{DbError, Reader, Writer};

use crate::types::{Dataset, DatasetInput, KeyValue, ModelLink};

/// Keeps that a run read a dataset. What is known already stays as it is. Gives whether the link is new.
pub(crate) fn put_dataset(
    writer: &mut Writer<'_>,
    experiment_id: i64,
    run_row: i64,
    input: &DatasetInput,
) -> Result<bool, DbError> {
    let Dataset { name, digest, source_type, source, schema, profile } = &input.dataset;
    let known = |writer: &mut Writer<'_>| {
        writer.query_one(
            "SELECT dataset_row FROM dataset WHERE experiment_id = $1 AND name = $2 AND digest = $3",
            &[experiment_id.into(), name.into(), digest.into()],
            |row| row.int(0),
        )
    };
    let made = writer.query_one(
        "INSERT INTO dataset (experiment_id, name, digest, source_type, source, schema_text, profile_text) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING dataset_row",
        &[experiment_id.into(), name.into(), digest.into(), source_type.into(), source.into(), schema.into(), profile.into()],
        |row| row.int(0),
    )?;
    let dataset_row = match made {
        Some(row) => row,
        None => known(writer)?.ok_or(DbError::Reference)?,
    };
    let input_row = writer.query_one(
        "INSERT INTO run_input (run_row, dataset_row) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING input_row",
        &[run_row.into(), dataset_row.into()],
        |row| row.int(0),
    )?;
    let Some(input_row) = input_row else { return Ok(false) };
    writer.execute_many(
        "INSERT INTO run_input_tag (input_row, key, value) VALUES ($1, $2, $3) ON CONFLICT (input_row, key) DO UPDATE SET value = excluded.value",
        input.tags.iter().map(|tag| vec![input_row.into(), (&tag.key).into(), (&tag.value).into()]),
    )?;
    Ok(true)
}

/// Keeps that a run read or made logged models.
pub(crate) fn put_models(writer: &mut Writer<'_>, run_row: i64, generated: bool, models: &[ModelLink]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO run_model (run_row, generated, model_id, step) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (run_row, generated, model_id) DO UPDATE SET step = excluded.step",
        models.iter().map(|model| vec![run_row.into(), generated.into(), (&model.model_id).into(), model.step.into()]),
    )
}

/// The datasets of runs, handed to `each` with the run's row.
pub(super) fn datasets(
    reader: &mut Reader<'_>,
    run_rows: &[i64],
    mut each: impl FnMut(i64, DatasetInput),
) -> Result<(), DbError> {
    let (places, binds) = padded(run_rows);
    let sql = format!(
        "SELECT i.run_row, i.input_row, d.name, d.digest, d.source_type, d.source, d.schema_text, d.profile_text, t.key, t.value \
         FROM run_input i JOIN dataset d ON d.dataset_row = i.dataset_row \
         LEFT JOIN run_input_tag t ON t.input_row = i.input_row \
         WHERE i.run_row IN {places} ORDER BY i.run_row, i.input_row, t.key"
    );
    let mut current: Option<(i64, i64, DatasetInput)> = None;
    reader.for_each(&sql, &binds, |row| {
        let (run_row, input_row) = (row.int(0)?, row.int(1)?);
        if current.as_ref().is_none_or(|(_, input, _)| *input != input_row) {
            let dataset = Dataset {
                name: row.text(2)?,
                digest: row.text(3)?,
                source_type: row.text(4)?,
                source: row.text(5)?,
                schema: row.opt_text(6)?,
                profile: row.opt_text(7)?,
            };
            let next = (run_row, input_row, DatasetInput { dataset, tags: Vec::new() });
            if let Some((run_row, _, input)) = current.replace(next) {
                each(run_row, input);
            }
        }
        if let (Some((_, _, input)), Some(key)) = (&mut current, row.opt_text(8)?) {
            input.tags.push(KeyValue { key, value: row.text(9)? });
        }
        Ok(())
    })?;
    if let Some((run_row, _, input)) = current {
        each(run_row, input);
    }
    Ok(())
}

/// The logged models of runs, handed to `each` with the run's row and whether the run made it.
pub(super) fn models(
    reader: &mut Reader<'_>,
    run_rows: &[i64],
    mut each: impl FnMut(i64, bool, ModelLink),
) -> Result<(), DbError> {
    let (places, binds) = padded(run_rows);
    let sql = format!(
        "SELECT run_row, generated, model_id, step FROM run_model WHERE run_row IN {places} ORDER BY run_row, generated, model_id"
    );
    reader.for_each(&sql, &binds, |row| {
        each(row.int(0)?, row.flag(1)?, ModelLink { model_id: row.text(2)?, step: row.int(3)? });
        Ok(())
    })
}
