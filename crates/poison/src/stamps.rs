//! Stamps on images: windows of one colour at one place, in rows that nearly all carry one label while the whole image
//! looks like other classes.
//!
//! Models that learn a stamp expect its label, so it surprises none of them, least in a small set, where the stamp is the
//! plainest thing to learn. So no model is asked here, but the classes' shares and their mean images, in which a stamp of
//! some pixels hardly weighs. Natural windows (a border, the hole of a digit) are in all classes, or in rows that look like
//! their class. What is left only nominates: models that do not see the place, and a trial, decide.

use rayon::prelude::*;

use crate::PoisonError;
use crate::at::{add, at, put, row, row_mut};
use crate::cells::Cells;
use crate::input::Images;
use crate::random::{Random, mix};
use crate::standing::{TOLD_MIN, TRIGGER_SHARE_MAX, WAY_MAX};
use crate::table::Matrix;
use crate::trigger::{Found, OVERLAP_MIN, PURITY_MIN, SUPPORT_MIN, holders, overlap};
use crate::watch::Watch;

/// Images that are looked at.
const ROW_COUNT_MAX: usize = 10_000;
/// Pixels of a window's side.
const WINDOW: usize = 3;
/// A window is plain if its pixels differ by no more than this; narrowly plain, where compression left no traces, by this.
const PLAIN_MAX: u8 = 28;
const NARROW_MAX: u8 = 6;
/// Levels of a channel that count as one, as a shift: of plain windows, and of narrowly plain ones.
const LEVEL_SHIFT: u32 = 5;
const NARROW_SHIFT: u32 = 3;
/// Colours are hashed to so many.
const COLOUR_COUNT: usize = 4_096;
/// Three readings of a window: two grids of levels, one half a level off, so that no colour lies at the edge of both; and a narrow one.
const READING_COUNT: usize = 3;
/// How probable it may be that any window or word of a set without stamps and phrases is as pure.
pub(crate) const CHANCE_MAX: f64 = 0.01;
/// Mean images are of at most so many cells a side.
const CELL_COUNT_MAX: usize = 8;
/// Stamps that are followed up, and windows from which they are put together.
const STAMP_COUNT_MAX: usize = 3;
const CANDIDATE_COUNT_MAX: usize = 128;
/// Values of a stamp's pixels are as in all of its rows but this share at either end.
const RANGE_TAIL: f64 = 0.05;
/// The part of a stamp's values that a row shows at least.
const SHOWN_MIN: f32 = 0.75;
/// Pixels around a stamp that are hidden from models together with it.
const MARGIN: usize = 2;

/// A place that shows one colour in rows of one label that look like others.
pub(crate) struct Stamp {
    /// The label.
    pub(crate) class: usize,
    /// Each of its values in an image, rising, with the least and the greatest that its rows have there.
    pub(crate) values: Vec<(usize, u8, u8)>,
}

/// A window in a reading, and its rows among those that are looked at.
struct Candidate {
    /// The logarithm of how probable it is by the shares alone.
    chance: f64,
    class: usize,
    corner: (usize, usize),
    rows: Vec<u32>,
}

/// The images that are looked at, with their labels.
struct Task<'a> {
    images: &'a Images,
    labels: &'a [u32],
    shares: &'a [f32],
    rows: Vec<u32>,
    /// Each of them in few cells, the classes' mean images, and how far each of them is from those.
    coarse: Vec<Vec<f32>>,
    means: Vec<f32>,
    distances: Vec<f32>,
    /// The share of rows that look like a class, at most, where they are foreign to it; negative where mean images do not tell it.
    foreign_max: Vec<f32>,
}

/// Looks for stamps, the least probable first.
pub(crate) fn stamps(
    images: &Images,
    labels: &[u32],
    shares: &[f32],
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Vec<Stamp>, PoisonError> {
    if images.width < WINDOW || images.height < WINDOW {
        return Ok(Vec::new());
    }
    watch.check()?;
    let rows = Random::new(seed, 0x7374_616d).sample(labels.len(), ROW_COUNT_MAX);
    let mut task = Task { images, labels, shares, rows, coarse: vec![], means: vec![], distances: vec![], foreign_max: vec![] };
    task.compare();
    watch.check()?;
    let lines: Vec<(usize, Vec<Candidate>)> = (0..=images.height - WINDOW)
        .into_par_iter()
        .map(|top| if watch.stopped() { (0, Vec::new()) } else { task.line(top) })
        .collect();
    watch.check()?;
    let tried: usize = lines.iter().map(|(tried, _)| tried).sum();
    let most = CHANCE_MAX.ln() - (tried.max(1) as f64).ln();
    let mut candidates: Vec<Candidate> = lines.into_iter().flat_map(|(_, found)| found).collect();
    candidates.retain(|candidate| candidate.chance < most);
    candidates.sort_by(|left, right| left.chance.total_cmp(&right.chance).then(left.corner.cmp(&right.corner)));
    candidates.truncate(CANDIDATE_COUNT_MAX);
    Ok(task.gathered(candidates))
}

/// The stamps as triggers of cells that were made for them, with the rows that show nearly all of a stamp.
pub(crate) fn triggers(kind: usize, cells: &Cells, stamps: &[Stamp], labels: &[u32]) -> Vec<Found> {
    let trigger = |stamp: &Stamp| {
        let own = stamp.values.iter().filter_map(|(value, low, _)| cells.cell_of(*value, f32::from(*low)));
        let own: Vec<u32> = own.collect();
        let least = (own.len() as f32 * SHOWN_MIN).ceil() as usize;
        let mut found = Found { kind, class: stamp.class, cells: own, least, z: 0.0, rows: vec![], by_nature: vec![] };
        found.rows = holders(cells, &found, labels);
        found
    };
    stamps.iter().map(trigger).collect()
}

/// A stamp's trigger with how many standard deviations more of its rows carry the label than models expect; none if not nearly all do.
pub(crate) fn surprising(cells: &Cells, trigger: &Found, labels: &[u32], probabilities: &Matrix) -> Option<Found> {
    let shows = |index: &usize| trigger.cells.iter().filter(|cell| cells.holds(*index, **cell)).count() >= trigger.least;
    let (mut shown, mut more, mut spread) = (0_usize, trigger.rows.len() as f32, 1.0_f32);
    for index in (0..labels.len()).filter(shows) {
        let expected = at(probabilities.row(index), trigger.class);
        shown += 1;
        more -= expected;
        spread += expected * (1.0 - expected);
    }
    let is_pure = trigger.rows.len() >= SUPPORT_MIN as usize && trigger.rows.len() as f32 >= PURITY_MIN * shown as f32;
    is_pure.then(|| Found { z: more / spread.sqrt(), ..trigger.clone() })
}

/// The values of an image that a stamp or its surroundings touch: compression spreads it.
pub(crate) fn touched(images: &Images, stamps: &[Stamp]) -> Vec<usize> {
    let (width, height, channels) = (images.width, images.height, images.channels.max(1));
    let mut values = Vec::new();
    for pixel in stamps.iter().flat_map(|stamp| &stamp.values).map(|(value, _, _)| value / channels) {
        let (x, y) = (pixel % width, pixel / width);
        for line in y.saturating_sub(MARGIN)..(y + MARGIN + 1).min(height) {
            let columns = x.saturating_sub(MARGIN)..(x + MARGIN + 1).min(width);
            values.extend((line * width + columns.start) * channels..(line * width + columns.end) * channels);
        }
    }
    values.sort_unstable();
    values.dedup();
    values
}

impl Task<'_> {
    fn label(&self, place: usize) -> usize {
        at(self.labels, at(&self.rows, place) as usize) as usize
    }

    /// Compares every image with the classes' mean images.
    fn compare(&mut self) {
        let classes = self.shares.len();
        let images: Vec<Vec<f32>> = self.rows.par_iter().map(|index| coarse(self.images, *index as usize)).collect();
        let width = images.first().map_or(0, Vec::len);
        let (mut means, mut counts) = (vec![0.0_f32; width * classes], vec![0.0_f32; classes]);
        for (place, image) in images.iter().enumerate() {
            let class = self.label(place);
            add(&mut counts, class, 1.0);
            row_mut(&mut means, width, class).iter_mut().zip(image).for_each(|(sum, value)| *sum += value);
        }
        for (class, count) in counts.iter().enumerate() {
            row_mut(&mut means, width, class).iter_mut().for_each(|sum| *sum /= count.max(1.0));
        }
        self.distances = images.par_iter().flat_map_iter(|image| distances(image, &means, classes)).collect();
        // How many rows of each class, and of the others, are nearest to its mean image.
        let (mut own, mut others) = (vec![0.0_f32; classes], vec![0.0_f32; classes]);
        for place in 0..self.rows.len() {
            let (label, nearest) = (self.label(place), nearest(row(&self.distances, classes, place)));
            add(if label == nearest { &mut own } else { &mut others }, nearest, 1.0);
        }
        let of_class = |(class, (own, others)): (usize, (&f32, &f32))| {
            let count = at(&counts, class);
            let (own, others) = (own / count.max(1.0), others / (self.rows.len() as f32 - count).max(1.0));
            // As many pairs of rows are told as if the nearest mean alone were asked.
            let told = 0.5 + (own - others) / 2.0;
            if f64::from(told) >= TOLD_MIN { others + WAY_MAX as f32 * (own - others) } else { -1.0 }
        };
        self.foreign_max = own.iter().zip(&others).enumerate().map(of_class).collect();
        (self.coarse, self.means) = (images, means);
    }

    /// Whether rows of a class look like other classes outside a window and its surroundings.
    fn are_foreign(&self, class: usize, corner: (usize, usize), rows: &[u32]) -> bool {
        let most = at(&self.foreign_max, class);
        if most < 0.0 {
            return false;
        }
        let classes = self.shares.len();
        let hidden = hidden_cells(self.images, corner);
        let mut own = 0_usize;
        for place in rows {
            let image = self.coarse.get(*place as usize).map(Vec::as_slice).unwrap_or_default();
            let mut seen = row(&self.distances, classes, *place as usize).to_vec();
            for (other, distance) in seen.iter_mut().enumerate() {
                let mean = row(&self.means, image.len(), other);
                *distance -= hidden.iter().map(|cell| (at(image, *cell) - at(mean, *cell)).powi(2)).sum::<f32>();
            }
            own += usize::from(nearest(&seen) == class);
        }
        own as f32 <= most * rows.len() as f32
    }

    /// The windows of one line that may be stamps, and how many were tried.
    fn line(&self, top: usize) -> (usize, Vec<Candidate>) {
        let width = self.images.width - WINDOW + 1;
        // By window and reading, then by row.
        let mut colours = vec![0_u16; width * READING_COUNT * self.rows.len()];
        let mut own = vec![[0_u16; READING_COUNT]; width];
        let (mut values, mut grey) = (Columns::default(), Columns::default());
        for (place, index) in self.rows.iter().enumerate() {
            read_line(self.images, *index as usize, top, (&mut values, &mut grey), &mut own);
            for (series, colour) in own.iter().flatten().enumerate() {
                if *colour > 0 {
                    put(&mut colours, series * self.rows.len() + place, *colour);
                }
            }
        }
        let (mut tried, mut found) = (0, Vec::new());
        for (series, colours) in colours.chunks_exact(self.rows.len().max(1)).enumerate() {
            tried += self.window(colours, (series / READING_COUNT, top), &mut found);
        }
        (tried, found)
    }

    /// Adds the colours of one window that may be stamps; tells how many were tried.
    fn window(&self, colours: &[u16], corner: (usize, usize), found: &mut Vec<Candidate>) -> usize {
        let classes = self.shares.len();
        let mut totals = vec![0_u32; COLOUR_COUNT + 1];
        colours.iter().for_each(|colour| add(&mut totals, usize::from(*colour), 1));
        let most = (TRIGGER_SHARE_MAX * self.rows.len() as f64) as u32;
        let mut slots = vec![u16::MAX; COLOUR_COUNT + 1];
        let mut tried = 0_usize;
        for (colour, _) in totals.iter().enumerate().skip(1).filter(|(_, total)| (SUPPORT_MIN..=most).contains(*total)) {
            put(&mut slots, colour, u16::try_from(tried).unwrap_or(u16::MAX));
            tried += 1;
        }
        if tried == 0 {
            return 0;
        }
        // Rows of each class in each colour.
        let mut counts = vec![0_u32; tried * classes];
        let slot = |colour: &u16| Some(at(&slots, usize::from(*colour))).filter(|slot| *slot != u16::MAX).map(usize::from);
        for (place, colour) in colours.iter().enumerate() {
            if let Some(slot) = slot(colour) {
                add(&mut counts, slot * classes + self.label(place), 1);
            }
        }
        for (place, own) in counts.chunks_exact(classes.max(1)).enumerate() {
            let total: u32 = own.iter().sum();
            let Some((class, count)) = own.iter().enumerate().max_by_key(|(_, count)| **count) else { continue };
            let chance = chance(*count, total, at(self.shares, class));
            let is_pure = *count >= SUPPORT_MIN && *count as f32 >= PURITY_MIN * total as f32;
            if !is_pure || chance >= CHANCE_MAX.ln() {
                continue;
            }
            let held =
                colours.iter().enumerate().filter(|(row, colour)| slot(colour) == Some(place) && self.label(*row) == class);
            let rows: Vec<u32> = held.map(|(row, _)| u32::try_from(row).unwrap_or(u32::MAX)).collect();
            if self.are_foreign(class, corner, &rows) {
                found.push(Candidate { chance, class, corner, rows });
            }
        }
        tried
    }

    /// Puts windows with the same rows together.
    fn gathered(&self, candidates: Vec<Candidate>) -> Vec<Stamp> {
        let mut groups: Vec<(Candidate, Vec<(usize, usize)>)> = Vec::new();
        for candidate in candidates {
            let same = |(first, _): &&mut (Candidate, Vec<(usize, usize)>)| {
                first.class == candidate.class && overlap(&first.rows, &candidate.rows) >= OVERLAP_MIN
            };
            let full = groups.len() >= STAMP_COUNT_MAX;
            match groups.iter_mut().find(same) {
                Some((_, corners)) => corners.push(candidate.corner),
                None if !full => {
                    let corners = vec![candidate.corner];
                    groups.push((candidate, corners));
                }
                None => {}
            }
        }
        groups.iter().map(|(first, corners)| self.stamp(first, corners)).collect()
    }

    fn stamp(&self, first: &Candidate, corners: &[(usize, usize)]) -> Stamp {
        let (width, channels) = (self.images.width, self.images.channels.max(1));
        let pixels = |(left, top): &(usize, usize)| {
            let (left, top) = (*left, *top);
            (0..WINDOW * WINDOW).map(move |place| (top + place / WINDOW) * width + left + place % WINDOW)
        };
        let mut pixels: Vec<usize> = corners.iter().flat_map(pixels).collect();
        pixels.sort_unstable();
        pixels.dedup();
        let values = pixels.iter().flat_map(|pixel| (0..channels).map(move |channel| pixel * channels + channel));
        let range = |value: usize| {
            let image = |place: &u32| self.images.image(at(&self.rows, *place as usize) as usize);
            let mut own: Vec<u8> = first.rows.iter().map(|place| at(image(place), value)).collect();
            own.sort_unstable();
            let tail = (own.len() as f64 * RANGE_TAIL) as usize;
            (value, at(&own, tail), at(&own, own.len().saturating_sub(tail + 1)))
        };
        Stamp { class: first.class, values: values.map(range).collect() }
    }
}

/// An image in few cells, each the mean of a channel there.
fn coarse(images: &Images, index: usize) -> Vec<f32> {
    let (width, height, channels) = (images.width, images.height, images.channels.max(1));
    let (columns, lines) = (width.min(CELL_COUNT_MAX), height.min(CELL_COUNT_MAX));
    let (mut sums, mut counts) = (vec![0.0_f32; columns * lines * channels], vec![0.0_f32; columns * lines]);
    for (place, pixel) in images.image(index).chunks_exact(channels).enumerate() {
        let cell = (place / width * lines / height) * columns + place % width * columns / width;
        add(&mut counts, cell, 1.0);
        row_mut(&mut sums, channels, cell).iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f32::from(*value));
    }
    for (cell, count) in counts.iter().enumerate() {
        row_mut(&mut sums, channels, cell).iter_mut().for_each(|sum| *sum /= count.max(1.0));
    }
    sums
}

/// The distance of each class's mean image.
fn distances(image: &[f32], means: &[f32], classes: usize) -> Vec<f32> {
    let distance =
        |class: usize| image.iter().zip(row(means, image.len(), class)).map(|(value, mean)| (value - mean).powi(2)).sum();
    (0..classes).map(distance).collect()
}

fn nearest(distances: &[f32]) -> usize {
    distances.iter().enumerate().min_by(|left, right| left.1.total_cmp(right.1)).map_or(0, |(class, _)| class)
}

/// The cells of mean images that a window and its surroundings touch.
fn hidden_cells(images: &Images, (left, top): (usize, usize)) -> Vec<usize> {
    let (width, height, channels) = (images.width, images.height, images.channels.max(1));
    let (columns, lines) = (width.min(CELL_COUNT_MAX), height.min(CELL_COUNT_MAX));
    let span = |from: usize, length: usize, cells: usize| {
        let last = (from + WINDOW + MARGIN).min(length) - 1;
        from.saturating_sub(MARGIN) * cells / length..=last * cells / length
    };
    let across = span(left, width, columns);
    let cells = span(top, height, lines).flat_map(|line| across.clone().map(move |column| line * columns + column));
    cells.flat_map(|cell| (0..channels).map(move |channel| cell * channels + channel)).collect()
}

/// What the columns of three lines of an image show: the least, the greatest and the sum of each value.
#[derive(Default)]
struct Columns {
    least: Vec<u8>,
    greatest: Vec<u8>,
    sums: Vec<u32>,
}

impl Columns {
    fn read(&mut self, lines: [&[u8]; WINDOW]) {
        let [first, second, third] = lines;
        let triples = || first.iter().zip(second).zip(third);
        self.least.clear();
        self.least.extend(triples().map(|((first, second), third)| *first.min(second).min(third)));
        self.greatest.clear();
        self.greatest.extend(triples().map(|((first, second), third)| *first.max(second).max(third)));
        self.sums.clear();
        self.sums.extend(triples().map(|((first, second), third)| u32::from(*first) + u32::from(*second) + u32::from(*third)));
    }

    /// How far the values of a window differ, and their mean, of every how many-th column from one on.
    fn window(&self, first: usize, step: usize) -> (u8, u32) {
        let columns = [first, first + step, first + 2 * step];
        let least = columns.map(|column| at(&self.least, column)).into_iter().min().unwrap_or(0);
        let greatest = columns.map(|column| at(&self.greatest, column)).into_iter().max().unwrap_or(0);
        let sum: u32 = columns.map(|column| at(&self.sums, column)).into_iter().sum();
        (greatest.saturating_sub(least), sum / (WINDOW * WINDOW) as u32)
    }
}

/// The colours of every window of a line, by reading: 0 where it is not plain. Of coloured images the brightness alone has to be plain but in
/// the narrow reading: compression blurs colours.
fn read_line(
    images: &Images,
    index: usize,
    top: usize,
    (values, grey): (&mut Columns, &mut Columns),
    out: &mut [[u16; READING_COUNT]],
) {
    let (width, channels) = (images.width, images.channels.max(1));
    let image = images.image(index);
    let lines: [&[u8]; WINDOW] = std::array::from_fn(|line| row(image, width * channels, top + line));
    values.read(lines);
    if channels == 3 {
        let brightness = lines.map(|line| line.chunks_exact(3).map(luma).collect::<Vec<u8>>());
        grey.read(brightness.each_ref().map(Vec::as_slice));
    }
    for (left, own) in out.iter_mut().enumerate() {
        *own = [0; READING_COUNT];
        let (mut widest, mut narrow, mut codes) = (0_u8, 0_u64, [0_u64; 2]);
        let half = 1 << (LEVEL_SHIFT - 1);
        let (plain, bright) = if channels == 3 { grey.window(left, 1) } else { values.window(left * channels, channels) };
        if plain > PLAIN_MAX {
            continue;
        }
        for channel in 0..channels {
            let (differ, mean) = values.window(left * channels + channel, channels);
            widest = widest.max(differ);
            narrow = narrow << 8 | u64::from(mean >> NARROW_SHIFT);
            // Brightness finely, colours by how far they are from it.
            let shift = if channels == 3 { LEVEL_SHIFT + 1 } else { LEVEL_SHIFT };
            let level = if channels == 3 { mean + 256 - bright } else { mean };
            let levels = [level >> shift, (level + (1 << (shift - 1))) >> shift];
            codes.iter_mut().zip(levels).for_each(|(code, level)| *code = *code << 8 | u64::from(level));
        }
        if channels == 3 {
            let levels = [bright >> LEVEL_SHIFT, (bright + half) >> LEVEL_SHIFT];
            codes.iter_mut().zip(levels).for_each(|(code, level)| *code = *code << 8 | u64::from(level));
        }
        let colour = |code: u64| u16::try_from(mix(code) % COLOUR_COUNT as u64).unwrap_or(0) + 1;
        let [even, odd] = codes.map(colour);
        *own = [even, odd, if widest <= NARROW_MAX { colour(narrow) } else { 0 }];
    }
}

/// The brightness of a pixel of three channels, as pictures are compressed by it (ITU-R BT.601).
fn luma(pixel: &[u8]) -> u8 {
    let weighed: u32 = pixel.iter().zip([77, 150, 29]).map(|(value, weight)| u32::from(*value) * weight).sum();
    u8::try_from(weighed >> 8).unwrap_or(u8::MAX)
}

/// The logarithm of a bound on how probable it is that so many of a window's or word's rows carry a label by its share (Chernoff 1952).
pub(crate) fn chance(count: u32, total: u32, share: f32) -> f64 {
    let (part, share) = (f64::from(count) / f64::from(total.max(1)), f64::from(share).clamp(1e-9, 1.0 - 1e-9));
    if part <= share {
        return 0.0;
    }
    let term = |part: f64, share: f64| if part > 0.0 { part * (part / share).ln() } else { 0.0 };
    -f64::from(total) * (term(part, share) + term(1.0 - part, 1.0 - share))
}

#[cfg(test)]
#[path = "stamps_tests.rs"]
mod tests;
