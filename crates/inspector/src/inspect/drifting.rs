//! What changed against the reference version?

use inspection::{DriftView, Finding, JobSpec, Screen, VIEW_ROW_COUNT_MAX, catalogue};
use profile::Profile;
use profile::drift::{ColumnDrift, DriftOptions, compare};

use super::draft::Draft;
use super::segments::Drifted;

/// Columns that get a finding of their own.
const COLUMN_FINDING_COUNT_MAX: usize = 50;

/// Compares with the reference.
pub(super) fn conclude(profile: Option<&Profile>, job: &JobSpec, draft: &mut Draft<'_>) -> Drifted {
    if !job.wants(Screen::Drift) {
        return None;
    }
    let Some(reference) = &job.reference else {
        draft.skipped(Screen::Drift, "there is no version to compare with");
        return None;
    };
    let Some(profile) = profile else {
        draft.failed(Screen::Drift, "there is no profile to compare");
        return None;
    };
    let before: Profile = match reference.profile.parse() {
        Ok(before) => before,
        Err(error) => {
            draft.failed(Screen::Drift, &format!("the profile of `{}` cannot be read: {error}", reference.name));
            return None;
        }
    };
    let report = compare(&before, profile, &DriftOptions::default());
    let changed: Vec<&ColumnDrift> = report.columns.iter().filter(|column| column.type_changed).collect();
    if !report.new_columns.is_empty() || !report.lost_columns.is_empty() || !changed.is_empty() {
        let detail = format!(
            "against `{}`: {} new, {} gone, {} of another type",
            reference.name,
            listed(&report.new_columns),
            listed(&report.lost_columns),
            listed(&changed.iter().map(|column| column.name.clone()).collect::<Vec<_>>()),
        );
        let names = changed.iter().map(|column| &column.name).chain(&report.new_columns).chain(&report.lost_columns);
        draft.find(Finding::new(&catalogue::SCHEMA_CHANGED, detail).columns(names.cloned()));
    }
    for column in report.drifted().filter(|column| !column.type_changed).take(COLUMN_FINDING_COUNT_MAX) {
        let is_label = job.roles.label.as_ref() == Some(&column.name);
        let kind = if is_label { &catalogue::LABEL_DRIFT } else { &catalogue::COLUMN_DRIFT };
        let detail = format!("`{}` against `{}`: {}", column.name, reference.name, column.reason);
        draft.find(Finding::new(kind, detail).columns([column.name.clone()]));
    }
    let mut views: Vec<DriftView> = report.columns.iter().map(picture).collect();
    views.sort_by(|a, b| b.drifted.cmp(&a.drifted).then(b.effect.total_cmp(&a.effect)));
    views.truncate(VIEW_ROW_COUNT_MAX);
    draft.view().drift = views;
    let section = draft.section(Screen::Drift, &report);
    draft.report().drift = section;
    draft.ran(Screen::Drift);
    Some((before, report))
}

fn picture(column: &ColumnDrift) -> DriftView {
    DriftView {
        column: column.name.clone(),
        statistic: "distance".to_owned(),
        effect: column.jensen_shannon.unwrap_or_else(|| column.tests.iter().map(|test| test.effect).fold(0.0, f64::max)),
        p_value: column.p_value,
        drifted: column.drifted,
        detail: column.reason.clone(),
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "none".to_owned(),
        count if count <= SHOWN => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        count => count.to_string(),
    }
}
