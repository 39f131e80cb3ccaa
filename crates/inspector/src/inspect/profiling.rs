//! What is in it? The profile's findings and pictures.

use arrow_schema::SchemaRef;
use inspection::{BAR_COUNT_MAX, Bar, ColumnView, Finding, JobSpec, Roles, Screen, VIEW_COLUMN_COUNT_MAX, catalogue};
use profile::{ColumnProfile, Kind, NumberReport, Options, Profile, Profiler};
use tables::Format;

use super::draft::Draft;
use super::mask::may_show;
use super::pass::Seen;

/// Share of missing values from which a column is mostly missing.
const MOSTLY_NULL_SHARE: f64 = 0.5;
/// The column of an image set that says why an image does not decode: where all do, it is empty.
const IMAGE_PROBLEM_COLUMN: &str = "problem";
/// Share of repeated rows that is worth a finding.
const DUPLICATE_SHARE_MIN: f64 = 0.001;
/// Share of the rarest label below which labels are imbalanced.
const RARE_LABEL_SHARE: f64 = 0.02;
/// Labels of a classification; more are a regression's.
const LABEL_COUNT_MAX: usize = 1_000;
/// Columns of one kind of finding that get one of their own; the rest is summed up.
const COLUMN_FINDING_COUNT_MAX: usize = 50;

/// Makes the profiler.
pub(super) fn start(job: &JobSpec, schema: &SchemaRef) -> Result<Profiler, String> {
    Profiler::new(schema, &Options { seed: job.seed }).map_err(|error| error.to_string())
}

/// The profile as it may be shown.
pub(super) fn masked(profile: &Profile, draft: &Draft<'_>) -> Profile {
    let mut shown = profile.clone();
    for column in &mut shown.columns {
        if !may_show(&column.name, draft.personal_columns.as_ref()) {
            column.mask();
        }
    }
    shown
}

/// Turns the profile into findings, pictures and the report's section. Gives it back, unmasked, for drift and contracts.
pub(super) fn conclude(seen: Seen<Profiler>, job: &JobSpec, schema: &SchemaRef, draft: &mut Draft<'_>) -> Option<Profile> {
    let profile = match seen? {
        Ok(profiler) => profiler.finish(),
        Err(error) => {
            draft.failed(Screen::Profile, &error);
            return None;
        }
    };
    if job.wants(Screen::Profile) {
        columns(&profile, draft);
        rows(&profile, draft);
        label(&profile, &job.roles, draft);
        roles_exist(&job.roles, schema, draft);
        let shown = masked(&profile, draft);
        pictures(&shown, &job.roles, draft);
        let section = draft.section(Screen::Profile, &shown);
        draft.report().profile = section;
        draft.ran(Screen::Profile);
    }
    Some(profile)
}

fn columns(profile: &Profile, draft: &mut Draft<'_>) {
    if profile.row_count == 0 {
        return;
    }
    let are_images = draft.view().format == Format::Images.to_string();
    let mut constant = Vec::new();
    let mut count = 0_usize;
    for column in &profile.columns {
        let present = column.row_count.saturating_sub(column.null_count);
        if column.distinct_count <= 1 && column.distinct_is_exact && present > 1 {
            constant.push(column.name.clone());
        }
        let null_share = column.null_share();
        let is_wanted = !are_images || column.name != IMAGE_PROBLEM_COLUMN;
        if is_wanted && null_share >= MOSTLY_NULL_SHARE && count < COLUMN_FINDING_COUNT_MAX {
            count = count.saturating_add(1);
            let detail = format!("`{}` has no value in {} of {} rows", column.name, column.null_count, column.row_count);
            draft.find(Finding::new(&catalogue::MOSTLY_NULL, detail).columns([column.name.clone()]).rows(column.null_count));
        }
        let odd = column
            .numbers
            .as_ref()
            .map_or(0, not_finite)
            .saturating_add(column.vectors.as_ref().map_or(0, |vectors| vectors.not_finite_count));
        if odd > 0 && count < COLUMN_FINDING_COUNT_MAX {
            count = count.saturating_add(1);
            let detail = format!("`{}` is infinite or not a number in {odd} rows", column.name);
            draft.find(Finding::new(&catalogue::NOT_FINITE, detail).columns([column.name.clone()]).rows(odd));
        }
    }
    if !constant.is_empty() {
        let detail = format!("{} columns hold one value throughout", constant.len());
        draft.find(Finding::new(&catalogue::CONSTANT_COLUMN, detail).columns(constant));
    }
}

const fn not_finite(numbers: &NumberReport) -> u64 {
    numbers.nan_count.saturating_add(numbers.positive_infinity_count).saturating_add(numbers.negative_infinity_count)
}

fn rows(profile: &Profile, draft: &mut Draft<'_>) {
    if profile.duplicate_row_share >= DUPLICATE_SHARE_MIN {
        let about = if profile.duplicate_rows_exact { "" } else { "about " };
        let detail = format!("{about}{:.2} % of the rows repeat an earlier one", profile.duplicate_row_share * 100.0);
        let mut finding = Finding::new(&catalogue::DUPLICATE_ROWS, detail);
        if profile.duplicate_rows_exact {
            finding = finding.rows(profile.row_count.saturating_sub(profile.distinct_row_count));
        }
        draft.find(finding);
    }
}

fn label(profile: &Profile, roles: &Roles, draft: &mut Draft<'_>) {
    let Some(column) = roles.label.as_ref().and_then(|name| profile.column(name)) else { return };
    if column.null_count > 0 {
        let detail = format!("`{}` has no value in {} of {} rows", column.name, column.null_count, column.row_count);
        draft.find(Finding::new(&catalogue::LABEL_MISSING, detail).columns([column.name.clone()]).rows(column.null_count));
    }
    let labels = column.all_values().unwrap_or_default();
    let present = column.row_count.saturating_sub(column.null_count);
    if labels.len() < 2
        || labels.len() > LABEL_COUNT_MAX
        || present == 0
        || !matches!(column.kind, Kind::Category | Kind::Boolean | Kind::Integer)
    {
        return;
    }
    if let Some(rarest) = labels.iter().min_by_key(|label| label.count) {
        let share = approximate(rarest.count) / approximate(present);
        if share < RARE_LABEL_SHARE {
            let detail = format!("the rarest of {} labels stands in {} of {present} rows", labels.len(), rarest.count);
            draft.find(Finding::new(&catalogue::LABEL_IMBALANCE, detail).columns([column.name.clone()]).rows(rarest.count));
        }
    }
}

fn roles_exist(roles: &Roles, schema: &SchemaRef, draft: &mut Draft<'_>) {
    let named = [
        ("label", &roles.label),
        ("source", &roles.source),
        ("time", &roles.time),
        ("id", &roles.id),
        ("embedding", &roles.embedding),
    ];
    for (role, name) in named {
        if let Some(name) = name
            && schema.field_with_name(name).is_err()
        {
            let detail = format!("there is no column `{name}` to be the {role} column");
            draft.find(Finding::new(&catalogue::LABEL_MISSING, detail).columns([name.clone()]));
        }
    }
}

fn pictures(profile: &Profile, roles: &Roles, draft: &mut Draft<'_>) {
    let hidden = profile.columns.len().saturating_sub(VIEW_COLUMN_COUNT_MAX);
    draft.view().column_hidden_count = hidden as u64;
    let known = std::mem::take(&mut draft.view().columns);
    let personal =
        |name: &str| known.iter().find(|column| column.name == name).map(|column| column.personal.clone()).unwrap_or_default();
    let views = profile.columns.iter().take(VIEW_COLUMN_COUNT_MAX).map(|column| {
        let mut view = picture(column);
        view.role = role(roles, &column.name);
        view.personal = personal(&column.name);
        view
    });
    draft.view().columns = views.collect();
}

fn role(roles: &Roles, name: &str) -> Option<String> {
    let is = |role: &Option<String>| role.as_deref() == Some(name);
    let word = match name {
        _ if is(&roles.label) => "label",
        _ if is(&roles.source) => "source",
        _ if is(&roles.time) => "time",
        _ if is(&roles.id) => "id",
        _ if is(&roles.embedding) => "embedding",
        _ => return None,
    };
    Some(word.to_owned())
}

fn picture(column: &ColumnProfile) -> ColumnView {
    let mut view = ColumnView {
        name: column.name.clone(),
        kind: format!("{} ({})", column.kind.name(), column.data_type),
        null_share: column.null_share(),
        distinct_count: Some(column.distinct_count),
        ..ColumnView::default()
    };
    let values: Vec<Bar> =
        column.top.iter().take(BAR_COUNT_MAX).map(|top| Bar { label: top.value.to_string(), count: top.count }).collect();
    if let Some(numbers) = &column.numbers {
        view.facts = facts(numbers);
        (view.bars, view.is_histogram) = (histogram(numbers), true);
    }
    if let Some(text) = &column.text {
        view.facts.push(("mean length".to_owned(), number(text.lengths.mean)));
        view.facts.push(("longest".to_owned(), number(text.lengths.maximum)));
        view.facts.push(("empty".to_owned(), text.empty_count.to_string()));
        let shapes = text.patterns.first().map_or_else(String::new, |pattern| pattern.pattern.clone());
        view.facts.push(("usual shape".to_owned(), shapes));
        (view.bars, view.is_histogram) = (histogram(&text.lengths), true);
    }
    if let Some(time) = &column.time {
        let moment = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
        view.facts = vec![
            ("first".to_owned(), moment(&time.minimum)),
            ("median".to_owned(), moment(&time.median)),
            ("last".to_owned(), moment(&time.maximum)),
        ];
        let bars = time.periods.iter().take(BAR_COUNT_MAX).enumerate();
        (view.bars, view.is_histogram) =
            (bars.map(|(at, count)| Bar { label: format!("period {}", at.saturating_add(1)), count: *count }).collect(), true);
    }
    if let Some(vectors) = &column.vectors {
        view.facts =
            vec![("dimension".to_owned(), vectors.dimension.to_string()), ("mean length".to_owned(), number(vectors.norms.mean))];
        (view.bars, view.is_histogram) = (histogram(&vectors.norms), true);
    }
    if let Some(images) = &column.images {
        view.facts.extend(images.formats.iter().map(|(format, count)| (format.clone(), count.to_string())));
        view.facts.push(("widths".to_owned(), format!("{} to {}", number(images.widths.minimum), number(images.widths.maximum))));
    }
    // Few values say more by themselves than by their range or their length.
    let few = matches!(column.kind, Kind::Category | Kind::Boolean) || view.bars.len() < 2;
    if few && !values.is_empty() {
        (view.bars, view.is_histogram) = (values, false);
    }
    view
}

fn facts(numbers: &NumberReport) -> Vec<(String, String)> {
    let quantile = |share: f64| {
        numbers.quantiles.iter().find(|quantile| (quantile.share - share).abs() < 1e-9).map(|quantile| quantile.value)
    };
    [
        ("minimum", numbers.minimum),
        ("median", quantile(0.5)),
        ("maximum", numbers.maximum),
        ("mean", numbers.mean),
        ("deviation", numbers.standard_deviation),
        ("skewness", numbers.skewness),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), number(value)))
    .collect()
}

fn histogram(numbers: &NumberReport) -> Vec<Bar> {
    let Some(histogram) = &numbers.histogram else { return Vec::new() };
    let ranges = histogram.edges.iter().zip(histogram.edges.iter().skip(1));
    let bars = ranges.zip(&histogram.counts).take(BAR_COUNT_MAX);
    bars.map(|((from, to), count)| Bar { label: format!("{} – {}", number(Some(*from)), number(Some(*to))), count: *count })
        .collect()
}

/// A number for people: four digits that matter.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e7).contains(&size) {
        let digits = if size >= 1_000.0 {
            0
        } else if size >= 100.0 {
            1
        } else if size >= 1.0 {
            2
        } else {
            4
        };
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.3e}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares need no more than 53 bits")]
const fn approximate(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in
            [(0.0, "0"), (1.5, "1.5"), (1234.6, "1235"), (0.012_34, "0.0123"), (-3.0, "-3"), (1e12, "1.000e12"), (120.0, "120")]
        {
            assert_eq!(number(Some(value)), expected);
        }
        assert_eq!(number(None), "–");
    }
}
