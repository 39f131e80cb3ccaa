//! Rows as points: random signs keep distances (Achlioptas 2003), and the seed is the server's own.

use crate::limits::DIMENSIONS;
use crate::reference::Reference;

/// A projected row.
pub(crate) type Point = [f32; DIMENSIONS];

/// One value of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing, or not a number.
    Missing,
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
}

impl Cell<'_> {
    /// A number; what is none is missing.
    #[must_use]
    pub const fn number(value: f64) -> Self {
        if value.is_nan() { Self::Missing } else { Self::Number(value) }
    }
}

/// A [`Reference`] ready to be compared with. Shared by all callers of a model.
#[derive(Clone, Debug)]
pub struct Calibrated {
    pub(crate) reference: Reference,
    /// Names a ring's queries as those of this projection.
    pub(crate) id: u64,
    /// Per column, its signs.
    signs: Vec<Point>,
    pub(crate) anchors: Vec<Point>,
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
const MIXER: u64 = 0xd6e8_feb8_6659_fd93;
/// How much a numbered unit of projection is: the square root of one part of the dimensions.
const UNIT: f32 = 0.125;
/// Two different texts are one standard deviation apart.
const TEXT_UNIT: f32 = UNIT * std::f32::consts::FRAC_1_SQRT_2;
/// Standard deviations beyond which values come closer together: no single column outweighs all others.
const SOFT: f32 = 8.0;

/// A folded product: a keyed mix, fast, and not to be predicted without the seed.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

fn mixed(seed: u64, value: u64) -> u64 {
    fold(value ^ seed ^ ODD, MIXER ^ seed.rotate_left(29))
}

fn text_hash(seed: u64, text: &str) -> u64 {
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    let hash = chunks.iter().fold(mixed(seed, text.len() as u64), |hash, chunk| mixed(hash, u64::from_le_bytes(*chunk)));
    rest.iter().fold(hash, |hash, byte| mixed(hash, u64::from(*byte)))
}

fn signs_of(bits: u64, unit: f32) -> Point {
    std::array::from_fn(|place| if bits >> place & 1 == 1 { unit } else { -unit })
}

fn add(point: &mut Point, signs: &Point, factor: f32) {
    for (sum, sign) in point.iter_mut().zip(signs) {
        *sum += sign * factor;
    }
}

pub(crate) fn distance_squared(left: &Point, right: &Point, give_up_at: f32) -> f32 {
    let mut sum = 0.0;
    for (left, right) in left.as_chunks::<16>().0.iter().zip(right.as_chunks::<16>().0) {
        sum += left.iter().zip(right).map(|(left, right)| (left - right) * (left - right)).sum::<f32>();
        if sum > give_up_at {
            return f32::MAX;
        }
    }
    sum
}

impl Calibrated {
    /// Makes the projection that the reference names.
    #[must_use]
    pub fn new(reference: Reference) -> Self {
        let seed = reference.seed;
        let signs = (0..reference.columns.len() as u64).map(|column| signs_of(mixed(seed, column), UNIT)).collect();
        let anchors = reference.anchors.0.as_chunks::<DIMENSIONS>().0.to_vec();
        let id = mixed(seed, reference.near.distance.map_or(0, |distance| u64::from(distance.to_bits())));
        Self { reference, id, signs, anchors }
    }

    /// What it compares with.
    #[must_use]
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// A row's name: equal rows have equal ones. Numbers count as 32-bit floats, so that clients that send those and clients that
    /// send 64 bits ask the same.
    pub(crate) fn hash(&self, row: &[Cell<'_>]) -> u64 {
        let seed = self.reference.seed;
        row.iter().fold(seed, |hash, cell| match cell {
            Cell::Missing => mixed(hash, 1 << 40),
            Cell::Number(value) => mixed(hash, u64::from((*value as f32 + 0.0).to_bits())),
            Cell::Text(text) => mixed(hash, text_hash(seed, text)),
        })
    }

    pub(crate) fn project(&self, row: &[Cell<'_>]) -> Point {
        let (mut point, reference) = ([0.0; DIMENSIONS], &self.reference);
        let scales = reference.center.0.iter().zip(&reference.scale.0);
        for (place, ((cell, signs), (center, scale))) in row.iter().zip(&self.signs).zip(scales).enumerate() {
            if *scale == 0.0 {
                continue;
            }
            match cell {
                Cell::Number(value) => {
                    let value = ((*value - f64::from(*center)) / f64::from(*scale)) as f32;
                    if value.is_finite() {
                        add(&mut point, signs, SOFT * value / (SOFT + value.abs()));
                    } else {
                        add(&mut point, signs, if value > 0.0 { SOFT } else { -SOFT });
                    }
                }
                Cell::Text(text) => {
                    let seed = mixed(reference.seed, place as u64 | 1 << 32);
                    add(&mut point, &signs_of(text_hash(seed, text), TEXT_UNIT), 1.0);
                }
                Cell::Missing => {
                    add(&mut point, &signs_of(mixed(reference.seed, place as u64 | 1 << 33), TEXT_UNIT), 1.0);
                }
            }
        }
        point
    }

    /// The nearest anchor, and its distance.
    pub(crate) fn nearest_anchor(&self, point: &Point) -> Option<(usize, f32)> {
        let mut best = None;
        let mut least = f32::MAX;
        for (place, anchor) in self.anchors.iter().enumerate() {
            let squared = distance_squared(point, anchor, least);
            if squared < least {
                (least, best) = (squared, Some(place));
            }
        }
        best.map(|place| (place, least.sqrt()))
    }
}
