//! A measure of two models over the parts of the rows, as a picture: a mark for each number, a line for where it lies. Only places are worked out here;
//! the template writes the picture, so that names are escaped like everywhere.

use crate::runs::number;
use crate::trial::{Comparison, Interval};

/// Parts that are drawn; the table beside the picture has more.
pub const ROW_COUNT_MAX: usize = 40;
/// The picture's width, the room for names, and the height of a part, in its own units.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 40.0;
const LINE: f64 = 36.0;
const AXIS: f64 = 24.0;
/// How far apart the two models' lines lie.
const APART: f64 = 14.0;
/// Half the height of the ends of a line.
const END: f64 = 4.0;
const NAME_CHARS_MAX: usize = 30;
const TICK_COUNT: u8 = 4;

/// A number and where it lies.
pub struct Mark {
    pub x: String,
    pub y: String,
    /// The corner of a square around it.
    pub corner: (String, String),
    /// The line with its two ends; empty where nothing says where it lies.
    pub path: String,
}

/// One part of the rows.
pub struct Row {
    pub name: String,
    pub full: String,
    pub text_y: String,
    pub below: String,
    pub own: Option<Mark>,
    pub champion: Option<Mark>,
}

/// The picture.
pub struct Picture {
    pub width: f64,
    pub height: f64,
    pub rows: Vec<Row>,
    /// Where a number stands below the picture, and the number.
    pub ticks: Vec<(String, String)>,
    pub tick_y: f64,
    pub has_champion: bool,
    /// Parts that are not drawn.
    pub more_count: usize,
}

/// The picture; none where there is no number to draw.
#[must_use]
pub fn picture(of: &Comparison) -> Option<Picture> {
    let rows = of.rows.get(..of.rows.len().min(ROW_COUNT_MAX)).unwrap_or_default();
    let ends = |interval: Option<Interval>| interval.into_iter().flat_map(|one| [one.low, one.high]);
    let numbers = rows.iter().flat_map(|row| {
        let own = std::iter::once(row.value).chain(row.champion);
        own.chain(ends(row.interval)).chain(ends(row.champion_interval))
    });
    let numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return None;
    }
    // What does not differ stands in the middle.
    let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
    let x = |number: f64| LEFT + (number - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let mut drawn = Vec::with_capacity(rows.len());
    let mut top = 0.0;
    for row in rows {
        let middle = top + LINE / 2.0;
        let mark = |value: Option<f64>, interval: Option<Interval>, y: f64| mark(value?, interval, y, x);
        drawn.push(Row {
            name: shortened(&row.slice),
            full: row.slice.clone(),
            text_y: place(middle + 4.0),
            below: place(top + LINE),
            own: mark(Some(row.value), row.interval, middle - APART / 2.0),
            champion: mark(row.champion, row.champion_interval, middle + APART / 2.0),
        });
        top += LINE;
    }
    let tick = |step: u8| {
        let number_there = low + (high - low) * f64::from(step) / f64::from(TICK_COUNT);
        (place(x(number_there)), number(number_there))
    };
    Some(Picture {
        width: WIDTH,
        height: top + AXIS,
        has_champion: drawn.iter().any(|row| row.champion.is_some()),
        rows: drawn,
        ticks: (0..=TICK_COUNT).map(tick).collect(),
        tick_y: top + AXIS - 6.0,
        more_count: of.rows.len().saturating_sub(ROW_COUNT_MAX),
    })
}

fn mark(value: f64, interval: Option<Interval>, y: f64, x: impl Fn(f64) -> f64) -> Option<Mark> {
    if !value.is_finite() {
        return None;
    }
    let line = |one: Interval| {
        let (from, to) = (x(one.low), x(one.high));
        let (above, below) = (y - END, y + END);
        format!("M{from:.1} {above:.1}V{below:.1}M{from:.1} {y:.1}H{to:.1}M{to:.1} {above:.1}V{below:.1}")
    };
    let path = interval.filter(|one| one.low.is_finite() && one.high.is_finite()).map(line).unwrap_or_default();
    Some(Mark { x: place(x(value)), y: place(y), corner: (place(x(value) - END), place(y - END)), path })
}

fn place(at: f64) -> String {
    format!("{at:.1}")
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Compared;

    fn row(value: f64, interval: Option<(f64, f64)>, champion: Option<f64>) -> Compared {
        Compared {
            slice: "region is a very long name of a part of the rows".to_owned(),
            rows: 5,
            value,
            interval: interval.map(|(low, high)| Interval { low, high }),
            champion,
            champion_interval: None,
            gain: None,
            gain_interval: None,
            p_corrected: None,
            outcome: "pass".to_owned(),
        }
    }

    fn check(rows: Vec<Compared>) -> Option<Picture> {
        picture(&Comparison { measure: "accuracy".to_owned(), data: "d@1".to_owned(), confidence: 0.95, rows })
    }

    #[test]
    fn numbers_stand_between_the_lowest_and_the_highest_end() {
        let drawn = check(vec![row(0.5, Some((0.0, 1.0)), Some(0.25)), row(f64::NAN, None, None)]).unwrap();
        let own = drawn.rows[0].own.as_ref().unwrap();
        assert_eq!((own.x.as_str(), own.path.as_str()), ("450.0", "M220.0 7.0V15.0M220.0 11.0H680.0M680.0 7.0V15.0"));
        assert_eq!(drawn.rows[0].champion.as_ref().unwrap().x, "335.0");
        assert!(drawn.rows[1].own.is_none() && drawn.rows[0].name.ends_with('…') && drawn.has_champion);
        assert_eq!(drawn.ticks.first().unwrap().1, "0");
    }

    #[test]
    fn without_numbers_there_is_no_picture_and_equal_ones_stand_in_the_middle() {
        assert!(check(vec![row(f64::INFINITY, None, None)]).is_none() && check(Vec::new()).is_none());
        assert_eq!(check(vec![row(3.0, None, Some(3.0))]).unwrap().rows[0].own.as_ref().unwrap().x, "450.0");
        assert_eq!(check(vec![row(1.0, None, None); ROW_COUNT_MAX + 2]).unwrap().more_count, 2);
    }
}
