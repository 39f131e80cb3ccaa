//! From training data to a [`Reference`]: scales, ranges, and the distance below which two queries are too near to be chance.

use std::collections::HashSet;

use crate::limits::{
    ANCHOR_COUNT_MAX, CATEGORY_COUNT_MAX, COLUMN_COUNT_MAX, COLUMN_ROW_COUNT_MAX, DIMENSIONS, NAME_BYTES_MAX,
    RING_QUERY_COUNT_MAX, ROW_COUNT_MIN, SHARED_QUERY_COUNT_MAX,
};
use crate::packed::Packed;
use crate::projection::{Calibrated, Cell, Point, distance_squared};
use crate::reference::{Column, Near, Parts, Reference};

/// One column of the training data.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// Numbers; not a number where missing.
    Numbers {
        /// Its name.
        name: &'a str,
        /// The values, row by row.
        values: &'a [f64],
    },
    /// Places among texts; not a number where missing.
    Texts {
        /// Its name.
        name: &'a str,
        /// The places, row by row.
        places: &'a [f64],
        /// The texts.
        names: &'a [String],
    },
}

/// Rows among which distances are measured: as many as are remembered of a caller.
const SAMPLE_COUNT: usize = RING_QUERY_COUNT_MAX;
/// Different rows without which near queries cannot be told from ordinary ones.
const DISTINCT_COUNT_MIN: usize = 200;
/// The share of nearest distances below the threshold, as measured (mlsec: 0.98 × the 0.1 % quantile).
const MEASURED_SHARE: f64 = 0.001;
/// Below the threshold itself: equal steps of rounded data are not near.
const BELOW: f64 = 0.98;
/// The share that one honest query may hit, by the tail's power law. Three hits in ten by chance then are 1.2 in 10¹⁰: none in
/// the ten million queries of a busy day.
const EXPECTED_SHARE: f64 = 1e-4;
/// The share of the smallest distances that the tail is fitted to.
const TAIL_SHARE: f64 = 0.05;
/// The share of the training data that is nearer to its anchors than what counts as unlike.
const LIKE_SHARE: f64 = 0.995;
/// Different texts of a column from which on it is an id or free text: no distance.
const TEXT_COUNT_MAX: usize = 1_000;

/// Makes a reference of training data, as a model takes its columns. `source` names the data; `seed` is the server's secret.
///
/// # Errors
/// Why none can be made, for people.
pub fn calibrate(columns: &[Given<'_>], source: &str, seed: u64) -> Result<Reference, String> {
    let row_count = columns.first().map_or(0, Given::len);
    if columns.is_empty() || columns.len() > COLUMN_COUNT_MAX {
        return Err(format!("it has {} columns, and from 1 to {COLUMN_COUNT_MAX} are compared", columns.len()));
    }
    if row_count < ROW_COUNT_MIN {
        return Err(format!("it has {row_count} rows, and {ROW_COUNT_MIN} are needed"));
    }
    let mut draw = Draw(seed);
    let shuffled = draw.rows(row_count, SAMPLE_COUNT.max(COLUMN_ROW_COUNT_MAX));
    let mut reference = Reference::of(parts(columns, &shuffled, source, row_count, seed));
    let projection = Calibrated::new(reference.clone());
    let points = |rows: &mut dyn Iterator<Item = usize>| distinct(&projection, columns, rows);
    let apart = points(&mut shuffled.iter().copied().take(SAMPLE_COUNT));
    // Data in the order of time or of machines holds rows that follow one another; a sample at random would miss how near they are.
    let from = draw.below(row_count.saturating_sub(SAMPLE_COUNT).saturating_add(1));
    let in_order = points(&mut (from..row_count).take(SAMPLE_COUNT));
    reference.near = near(&apart, &in_order);
    let (anchors, rest) = apart.split_at(ANCHOR_COUNT_MAX.min(apart.len() / 2));
    reference.unlike_from = unlike_from(anchors, rest);
    reference.anchors = Packed(anchors.iter().flatten().copied().collect());
    Ok(reference)
}

impl Given<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers { values, .. } => values.len(),
            Self::Texts { places, .. } => places.len(),
        }
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Numbers { values, .. } => values.get(row).map_or(Cell::Missing, |value| Cell::number(*value)),
            Self::Texts { places, names, .. } => {
                let place = places.get(row).filter(|place| !place.is_nan());
                place.and_then(|place| names.get(*place as usize)).map_or(Cell::Missing, |text| Cell::Text(text))
            }
        }
    }
}

/// Seeded numbers (SplitMix64, Steele et al. 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// So many different rows, in random order.
    fn rows(&mut self, row_count: usize, count: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..row_count).collect();
        for place in 0..count.min(row_count) {
            let other = place + self.below(row_count - place);
            rows.swap(place, other);
        }
        rows.truncate(count);
        rows
    }
}

/// What a column looks like.
struct Shape {
    center: f64,
    scale: f64,
    low: f64,
    high: f64,
}

fn shape_of(values: &[f64], rows: &[usize]) -> Shape {
    let all = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let mut sample: Vec<f64> =
        rows.iter().filter_map(|row| values.get(*row)).copied().filter(|value| value.is_finite()).collect();
    sample.sort_by(f64::total_cmp);
    let count = sample.len();
    let at = |share: f64| sample.get((share * count as f64) as usize).or(sample.last()).copied().unwrap_or(0.0);
    // Single values far outside must not make all others look equal.
    let (from, to) = (at(0.005), at(0.995));
    let clipped = || sample.iter().map(|value| value.clamp(from, to));
    let center = clipped().sum::<f64>() / count.max(1) as f64;
    let variance = clipped().map(|value| (value - center).powi(2)).sum::<f64>() / count.max(1) as f64;
    Shape { center, scale: variance.sqrt(), low, high }
}

fn parts(columns: &[Given<'_>], shuffled: &[usize], source: &str, row_count: usize, seed: u64) -> Parts {
    let mut name_bytes = 0_usize;
    let mut keep = |bytes: usize| {
        name_bytes = name_bytes.saturating_add(bytes).saturating_add(4);
        name_bytes <= NAME_BYTES_MAX
    };
    let mut made = Parts {
        source: source.chars().take(400).collect(),
        row_count: row_count as u64,
        seed,
        columns: Vec::new(),
        center: Vec::new(),
        scale: Vec::new(),
        low: Vec::new(),
        high: Vec::new(),
    };
    let rows = shuffled.get(..COLUMN_ROW_COUNT_MAX.min(shuffled.len())).unwrap_or_default();
    let mut numbers = Vec::new();
    for column in columns {
        let (name, shape, categories) = match column {
            Given::Numbers { name, values } => (name, Some(shape_of(values, rows)), None),
            Given::Texts { name, names, .. } => {
                let is_id = names.len() > TEXT_COUNT_MAX.min(row_count / 2);
                let few = names.len() <= CATEGORY_COUNT_MAX && keep(names.iter().map(|text| text.len() + 4).sum());
                let categories = few.then(|| names.to_vec());
                let scale = if is_id { 0.0 } else { 1.0 };
                (name, Some(Shape { center: 0.0, scale, low: f64::NAN, high: f64::NAN }), categories)
            }
        };
        let is_text = matches!(column, Given::Texts { .. });
        let shape = shape.unwrap_or(Shape { center: 0.0, scale: 0.0, low: f64::NAN, high: f64::NAN });
        let name = if keep(name.len()) { (*name).to_owned() } else { String::new() };
        made.columns.push(Column { name, categories, is_text });
        made.center.push(shape.center as f32);
        // A range is never narrower than the data for want of digits.
        made.low.push(below(shape.low));
        made.high.push(-below(-shape.high));
        made.scale.push(shape.scale as f32);
        if !is_text {
            numbers.push(shape);
        }
    }
    if let Some(common) = common_scale(&numbers) {
        let texts = made.columns.iter().map(|column| column.is_text);
        made.scale.iter_mut().zip(texts).filter(|(_, is_text)| !is_text).for_each(|(scale, _)| *scale = common as f32);
    }
    for ((scale, center), column) in made.scale.iter_mut().zip(&made.center).zip(&made.columns) {
        if *scale == 0.0 && !column.is_text {
            // A column that holds one value: whatever differs from it is far away.
            *scale = (center.abs() * 0.1).max(0.1);
        }
    }
    made
}

fn below(value: f64) -> f32 {
    let rounded = value as f32;
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

/// The scale of all columns where they are of one kind, as the points of a picture are: a point that hardly ever varies must not
/// count as much as the others.
fn common_scale(numbers: &[Shape]) -> Option<f64> {
    let mut widths: Vec<f64> = numbers.iter().map(|shape| shape.high - shape.low).filter(|width| *width > 0.0).collect();
    if widths.len() < 16 {
        return None;
    }
    widths.sort_by(f64::total_cmp);
    let at = |share: f64| widths.get((share * widths.len() as f64) as usize).copied().unwrap_or(1.0);
    let one_kind = at(0.9) <= 3.0 * at(0.2);
    let mean = numbers.iter().map(|shape| shape.scale * shape.scale).sum::<f64>() / numbers.len() as f64;
    Some(mean.sqrt()).filter(|scale| one_kind && *scale > 0.0)
}

/// Rows as points, equal ones once.
fn distinct(projection: &Calibrated, columns: &[Given<'_>], rows: &mut dyn Iterator<Item = usize>) -> Vec<Point> {
    let mut known = HashSet::new();
    let mut points = Vec::new();
    for row in rows {
        let cells: Vec<Cell<'_>> = columns.iter().map(|column| column.cell(row)).collect();
        if known.insert(projection.hash(&cells)) {
            points.push(projection.project(&cells));
        }
    }
    points
}

/// Rising distances of each point to the nearest other one.
fn nearest_distances(points: &[Point]) -> Vec<f32> {
    let mut least = vec![f32::MAX; points.len()];
    for (place, point) in points.iter().enumerate() {
        let (before, rest) = least.split_at_mut(place);
        let Some(own) = rest.first_mut() else { continue };
        for (other, known) in points.iter().zip(before) {
            let squared = distance_squared(point, other, own.max(*known));
            *own = own.min(squared);
            *known = known.min(squared);
        }
    }
    let mut distances: Vec<f32> = least.into_iter().map(f32::sqrt).collect();
    distances.sort_by(f32::total_cmp);
    distances
}

fn near(apart: &[Point], in_order: &[Point]) -> Near {
    let count = apart.len();
    if count < DISTINCT_COUNT_MIN {
        let why =
            format!("{count} different rows; with fewer than {DISTINCT_COUNT_MIN}, ordinary queries are as near to one another");
        return Near { distance: None, why_none: Some(why), expected_hits: 0.0, dimension: 0.0 };
    }
    let (apart, in_order) = (nearest_distances(apart), nearest_distances(in_order));
    let (first, dimension) = threshold(&apart);
    let (second, _) = if in_order.len() < DISTINCT_COUNT_MIN { (first, dimension) } else { threshold(&in_order) };
    let distance = first.min(second);
    if distance <= 1e-6 {
        let why = "different rows of the training data lie on one another, so that ordinary queries do too".to_owned();
        return Near { distance: None, why_none: Some(why), expected_hits: 0.0, dimension };
    }
    let hits = apart.iter().filter(|other| f64::from(**other) < distance).count();
    Near { distance: Some(distance as f32), why_none: None, expected_hits: hits as f64 / count as f64, dimension }
}

/// The distance that ordinary queries hit by the expected share, and the dimension. The tail's power is Hill's estimate (1975) on
/// the smallest distances, by which also data with fewer rows than are remembered later is put right.
fn threshold(rising: &[f32]) -> (f64, f64) {
    let count = rising.len();
    let at = |place: usize| rising.get(place.min(count.saturating_sub(1))).map_or(0.0, |value| f64::from(*value));
    let measured = at((MEASURED_SHARE * count as f64) as usize);
    let tail = ((TAIL_SHARE * count as f64) as usize).clamp(10, count.max(10));
    let edge = at(tail);
    let logs: f64 = (0..tail).map(|place| (edge / at(place).max(1e-9)).ln()).sum();
    let dimension = (tail as f64 / logs.max(1e-9)).clamp(1.0, DIMENSIONS as f64);
    let remembered = (RING_QUERY_COUNT_MAX + SHARED_QUERY_COUNT_MAX) as f64;
    let wanted = EXPECTED_SHARE / (tail as f64 / count as f64) * (count as f64 / remembered);
    let expected = edge * wanted.powf(1.0 / dimension);
    (BELOW * measured.min(expected), dimension)
}

fn unlike_from(anchors: &[Point], rest: &[Point]) -> f32 {
    let nearest = |point: &Point| {
        let least = anchors.iter().fold(f32::MAX, |least, anchor| least.min(distance_squared(point, anchor, least)));
        least.sqrt()
    };
    let mut distances: Vec<f32> = rest.iter().map(nearest).collect();
    distances.sort_by(f32::total_cmp);
    let place = (LIKE_SHARE * distances.len() as f64) as usize;
    // Of little data the edge is known badly.
    let slack = if distances.len() < 1_000 { 1.1 } else { 1.02 };
    distances.get(place.min(distances.len().saturating_sub(1))).map_or(f32::MAX / 2.0, |distance| distance * slack)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Numbers that come near a normal distribution.
    pub(crate) struct Normal(Draw);

    impl Normal {
        pub(crate) fn new(seed: u64) -> Self {
            Self(Draw(seed))
        }

        pub(crate) fn uniform(&mut self) -> f64 {
            (self.0.next() >> 11) as f64 / (1_u64 << 53) as f64
        }

        pub(crate) fn next(&mut self) -> f64 {
            (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
        }

        /// A row of 12 numbers that hang together and one of three texts.
        pub(crate) fn row(&mut self) -> (Vec<f64>, usize) {
            let hidden: Vec<f64> = (0..5).map(|_| self.next()).collect();
            let mix = |place: usize| hidden.iter().enumerate().map(|(k, h)| h * ((place * 7 + k * 3) as f64).sin()).sum::<f64>();
            let numbers = (0..12).map(|place| 100.0 * place as f64 + 10.0 * mix(place) + 2.0 * self.next()).collect();
            (numbers, self.0.below(3))
        }
    }

    pub(crate) fn texts() -> Vec<String> {
        ["red", "green", "blue"].map(str::to_owned).to_vec()
    }

    pub(crate) fn reference(rows: usize, seed: u64) -> Reference {
        let (mut normal, mut columns, mut places) = (Normal::new(seed), vec![Vec::new(); 12], Vec::new());
        for _ in 0..rows {
            let (row, text) = normal.row();
            row.into_iter().zip(&mut columns).for_each(|(value, column)| column.push(value));
            places.push(text as f64);
        }
        let names: Vec<String> = (0..12).map(|place| format!("n{place}")).collect();
        let texts = texts();
        let mut given: Vec<Given<'_>> =
            columns.iter().zip(&names).map(|(values, name)| Given::Numbers { name, values }).collect();
        given.push(Given::Texts { name: "colour", places: &places, names: &texts });
        calibrate(&given, "data@1", 5).unwrap()
    }

    #[test]
    fn ordinary_rows_hardly_hit_and_are_like_the_training_data() {
        let made = reference(6_000, 1);
        assert!(made.near.distance.is_some() && made.near.expected_hits <= 0.001, "{:?}", made.near);
        assert!((2.0..20.0).contains(&made.near.dimension), "{:?}", made.near);
        let (calibrated, mut normal, texts) = (Calibrated::new(made), Normal::new(99), texts());
        let unlike = (0..4_000).filter(|_| {
            let (numbers, text) = normal.row();
            let mut cells: Vec<Cell<'_>> = numbers.iter().map(|value| Cell::Number(*value)).collect();
            cells.push(Cell::Text(&texts[text]));
            let (_, distance) = calibrated.nearest_anchor(&calibrated.project(&cells)).unwrap();
            distance > calibrated.reference.unlike_from
        });
        let unlike = unlike.count();
        assert!(unlike < 60, "{unlike} of 4,000");
    }

    #[test]
    fn it_is_kept_small_and_read_back() {
        let made = reference(1_000, 2);
        let bytes = made.to_json().unwrap();
        assert_eq!(Reference::from_json(&bytes).unwrap().to_json().unwrap(), bytes);
        let wide: Vec<Vec<f64>> =
            (0..COLUMN_COUNT_MAX).map(|c| (0..300).map(|r| ((r * 31 + c * 17) % 97) as f64).collect()).collect();
        let name = "n".repeat(300);
        let given: Vec<Given<'_>> = wide.iter().map(|values| Given::Numbers { name: &name, values }).collect();
        assert!(calibrate(&given, "wide@1", 5).unwrap().to_json().is_ok());
        let other = String::from_utf8(bytes).unwrap().replace("strongroom.guard/1", "strongroom.guard/9");
        assert!(Reference::from_json(other.as_bytes()).unwrap_err().to_string().contains("guard/9"));
        assert!(Reference::from_json(b"{}").is_err());
    }

    #[test]
    fn what_cannot_be_calibrated_says_why() {
        let few = vec![1.0; 10];
        assert!(calibrate(&[Given::Numbers { name: "a", values: &few }], "x", 1).unwrap_err().contains("10 rows"));
        assert!(calibrate(&[], "x", 1).is_err());
        let coarse: Vec<f64> = (0..1_000).map(|row| f64::from(row % 7)).collect();
        let made = calibrate(&[Given::Numbers { name: "a", values: &coarse }], "x", 1).unwrap();
        assert!(made.near.distance.is_none() && made.near.why_none.unwrap().contains("7 different rows"));
    }

    #[test]
    fn rounded_data_is_not_near_by_its_rounding() {
        // Five columns of whole numbers: the smallest step between two rows is no attack.
        let mut normal = Normal::new(3);
        let columns: Vec<Vec<f64>> = (0..5).map(|_| (0..4_000).map(|_| (normal.uniform() * 8.0).floor()).collect()).collect();
        let given: Vec<Given<'_>> = columns.iter().map(|values| Given::Numbers { name: "a", values }).collect();
        let made = calibrate(&given, "x", 1).unwrap();
        let step = 1.0 / f64::from(made.scale.0[0]);
        assert!(f64::from(made.near.distance.unwrap()) < step, "{:?} {step}", made.near);
    }
}
