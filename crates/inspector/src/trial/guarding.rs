//! What the guard of a model's endpoints will compare queries with: made here, where training data may be read.
//!
//! It is no screen: a model without it is served with budgets alone, and the report says why.

use guard::{Given, Reference, calibrate};
use inspection::{GuardSpec, JobSpec, Section};
use serde_json::json;
use tables::DataFile;

use super::frame::{Column, Frame};
use super::model::Served;
use crate::inspect::{Draft, Other, open};

/// Makes the reference that the job asks for.
pub(crate) fn run(job: &JobSpec, files: &[DataFile], others: &[Other], draft: &mut Draft<'_>) {
    let Some(spec) = &job.guard else { return };
    draft.progress("guard");
    let section = match reference(spec, files, others) {
        Ok(reference) => {
            draft.report().guard_reference = Section::of(&reference).ok();
            draft.note(&sentence(&reference));
            json!({
                "source": reference.source, "trained": spec.trained, "row_count": reference.row_count,
                "column_count": reference.columns.len(), "near": reference.near, "unlike_from": reference.unlike_from,
            })
        }
        Err(why) => {
            draft.note(&format!("The guard of endpoints has nothing to compare queries with: {why}."));
            json!({ "why_none": why })
        }
    };
    draft.report().guard = Section::of(&section).ok();
}

fn sentence(reference: &Reference) -> String {
    let near = match (&reference.near.distance, &reference.near.why_none) {
        (Some(_), _) => "near queries are told from ordinary ones".to_owned(),
        (None, Some(why)) => format!("near queries are not told from ordinary ones: {why}"),
        (None, None) => "near queries are not told from ordinary ones".to_owned(),
    };
    format!("The guard of endpoints compares queries with `{}` ({} rows); {near}.", reference.source, reference.row_count)
}

fn reference(spec: &GuardSpec, files: &[DataFile], others: &[Other]) -> Result<Reference, String> {
    let mut model = Served::load(files)?;
    let mut why_not = "there is no table".to_owned();
    for table in &spec.tables {
        let label = spec.label.as_ref().or(table.label.as_ref()).map_or("", String::as_str);
        let other = others.get(table.place).ok_or("its files were not handed over")?;
        match of_table(&mut model, other, (label, &table.name), spec) {
            Ok(reference) => return Ok(reference),
            Err(why) => why_not = format!("`{}`: {why}", table.name),
        }
    }
    Err(why_not)
}

fn of_table(model: &mut Served, other: &Other, (label, name): (&str, &str), spec: &GuardSpec) -> Result<Reference, String> {
    let table = open(other)?;
    model.choose_columns(table.schema(), label, &spec.leave_out)?;
    let frame = Frame::read(&table, model.columns(), spec.seed, 1)?;
    let mut given = Vec::with_capacity(model.columns().len());
    for column in model.columns() {
        given.push(match frame.get(column).ok_or("a column is gone")? {
            Column::Numbers { values, .. } => Given::Numbers { name: column, values },
            Column::Texts { places, names } => Given::Texts { name: column, places, names },
        });
    }
    let reference = calibrate(&given, name, spec.seed)?;
    reference.to_json().map_err(|error| error.to_string())?;
    Ok(reference)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use inspection::{FileSpec, OtherTable, Screen, SubjectKind, TrialTable};

    use super::*;
    use crate::news::Terminal;

    const TREE: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=regression\n\
        feature_names=a b\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=1\n\nend of trees\n";

    fn report(text: &str, label: Option<&str>) -> inspection::InspectionReport {
        let spec = FileSpec { path: "d.csv".to_owned(), size_bytes: text.len() as u64, sha256: "00".repeat(32) };
        let mut job = JobSpec::new("m", "1", Vec::new(), 0);
        job.subject = SubjectKind::Model;
        job.screens = vec![Screen::File];
        let table = TrialTable { name: "d@1".to_owned(), place: 0, label: label.map(str::to_owned) };
        job.guard = Some(GuardSpec { tables: vec![table], trained: true, label: None, leave_out: Vec::new(), seed: 7 });
        let other = OtherTable {
            name: "d".to_owned(),
            version: "d@1".to_owned(),
            files: vec![spec],
            csv: inspection::CsvDialect::default(),
            apart: false,
        };
        let others = [Other { spec: other, files: vec![DataFile::in_memory("d.csv", text.as_bytes().to_vec())] }];
        let files = vec![DataFile::in_memory("model.lgb", TREE.as_bytes().to_vec())];
        crate::inspect::run(&job, files, &others, &Terminal::quiet())
    }

    fn rows(count: u32) -> String {
        let mut text = "y,b,a\n".to_owned();
        (0..count).for_each(|row| {
            writeln!(text, "{},{},{}", row % 2, f64::from(row * 37 % 1009) / 7.0, f64::from(row * row % 997)).unwrap();
        });
        text
    }

    #[test]
    fn a_model_is_calibrated_on_the_columns_that_it_takes() {
        let report = report(&rows(600), Some("y"));
        let reference: Reference = report.guard_reference.unwrap().parse().unwrap();
        let names: Vec<&str> = reference.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, reference.row_count, reference.source.as_str()), (vec!["a", "b"], 600, "d@1"));
        let shown = report.guard.unwrap();
        assert!(shown.as_str().contains("\"source\":\"d@1\"") && !shown.as_str().contains("seed"), "{}", shown.as_str());
    }

    #[test]
    fn what_cannot_be_calibrated_says_why() {
        for (text, part) in [(rows(20), "20 rows"), ("y,b\n1,2\n".to_owned(), "column `a`")] {
            let report = report(&text, None);
            let shown = report.guard.unwrap();
            assert!(report.guard_reference.is_none() && shown.as_str().contains(part), "{}", shown.as_str());
        }
    }
}
