//! Rows that are there more than once or nearly so, and equal rows with different labels.

use std::collections::HashMap;

use crate::PoisonError;
use crate::at::{at, put};
use crate::input::Input;
use crate::knn::Neighbours;
use crate::near_texts::{NearTexts, near_texts};
use crate::random::mix;
use crate::watch::Watch;
use crate::words::TOKEN_COUNT;

/// Neighbours nearer than this share of the median neighbour distance are near duplicates.
const NEAR_SHARE: f32 = 0.02;
/// Rows of one group of duplicates that are listed.
pub const GROUP_ROW_COUNT_MAX: usize = 20;
/// Groups that are listed.
const LARGEST_COUNT: usize = 20;

/// Equal rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Duplicates {
    /// How many other rows are exactly equal to each row.
    pub(crate) copies: Vec<u32>,
    /// True where an equal row carries another label.
    pub(crate) contradicted: Vec<bool>,
    /// True where another row is nearly, but not exactly, equal.
    pub(crate) near: Vec<bool>,
    /// The largest groups of equal rows: their size and first rows.
    pub(crate) largest: Vec<(u32, Vec<u64>)>,
    /// The largest groups of equal and nearly equal texts, where not all are equal.
    pub(crate) near_largest: Vec<(u32, Vec<u64>)>,
    /// How much each row is copied: how large its group is, and somewhat how near the nearest of it is.
    pub(crate) marks: Vec<f32>,
    /// Whether not all texts could be compared.
    pub(crate) cut_short: bool,
    /// Of the rows without copies, the share whose nearest neighbour carries another label; all where there are none. Equal rows
    /// contradict each other by nature at most as often as near ones.
    pub(crate) discord: f64,
}

/// Finds equal rows by a 64-bit hash of everything but the label; nearly equal ones by their texts, and without texts among
/// the neighbours.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn duplicates(
    input: &Input,
    neighbours: &Neighbours,
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Duplicates, PoisonError> {
    let rows = input.rows();
    let hashes: Vec<u64> = (0..rows).map(|index| row_hash(input, index)).collect();
    let mut groups: HashMap<u64, Vec<u32>> = HashMap::with_capacity(rows);
    for (index, hash) in hashes.iter().enumerate() {
        groups.entry(*hash).or_default().push(u32::try_from(index).unwrap_or(u32::MAX));
    }
    let mut found =
        Duplicates { copies: vec![0; rows], contradicted: vec![false; rows], near: vec![false; rows], ..Duplicates::default() };
    let labels = input.labels.as_ref().map(|labels| labels.of_rows.as_slice()).unwrap_or_default();
    for own in groups.values().filter(|own| own.len() > 1) {
        let label = |index: &u32| at(labels, *index as usize);
        let first = own.first().map_or(0, label);
        let contradicted = own.iter().any(|index| label(index) != first);
        for index in own {
            crate::at::put(&mut found.copies, *index as usize, u32::try_from(own.len() - 1).unwrap_or(u32::MAX));
            crate::at::put(&mut found.contradicted, *index as usize, contradicted);
        }
        let listed = own.iter().take(GROUP_ROW_COUNT_MAX).map(|index| u64::from(*index)).collect();
        found.largest.push((u32::try_from(own.len()).unwrap_or(u32::MAX), listed));
    }
    found.discord = discord(&found.copies, labels, neighbours);
    found.largest = largest(std::mem::take(&mut found.largest));
    found.marks = found.copies.iter().map(|copies| mark((*copies as usize, rows), 1.0)).collect();
    if let Some(texts) = &input.texts {
        mark_near_texts(&mut found, &near_texts(&texts.words, seed, watch)?, &hashes);
    } else {
        mark_near(&mut found, neighbours, &hashes);
    }
    Ok(found)
}

fn discord(copies: &[u32], labels: &[u32], neighbours: &Neighbours) -> f64 {
    let (mut rows, mut others) = (0_u32, 0_u32);
    for (index, _) in copies.iter().enumerate().filter(|(_, copies)| **copies == 0) {
        if let Some((nearest, _)) = neighbours.of(index).next() {
            rows += 1;
            others += u32::from(at(labels, nearest) != at(labels, index));
        }
    }
    if rows == 0 { 1.0 } else { f64::from(others) / f64::from(rows) }
}

/// How much a row is copied that has so many others near it: orders of magnitude, 1 where all rows are of its group. Natural
/// copies are exact and few, a flood is many and not quite.
fn mark((others, rows): (usize, usize), similarity: f32) -> f32 {
    let size = (others as f32).ln_1p() / (rows.max(2) as f32).ln();
    size * (0.8 + 0.2 * similarity)
}

/// The largest groups, the largest first.
fn largest(mut groups: Vec<(u32, Vec<u64>)>) -> Vec<(u32, Vec<u64>)> {
    groups.sort_by(|left, right| (right.0, &left.1).cmp(&(left.0, &right.1)));
    groups.truncate(LARGEST_COUNT);
    groups
}

/// Rows whose text is nearly another's, and is not all that they share with it.
fn mark_near_texts(found: &mut Duplicates, near: &NearTexts, hashes: &[u64]) {
    let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
    for (index, first) in near.groups.iter().enumerate().filter(|(index, _)| at(&near.similarities, *index) > 0.0) {
        groups.entry(*first).or_default().push(u32::try_from(index).unwrap_or(u32::MAX));
    }
    let mut listed = Vec::new();
    for rows in groups.values() {
        let hash = |row: &u32| at(hashes, *row as usize);
        if rows.iter().all(|row| hash(row) == rows.first().map_or(0, hash)) {
            continue;
        }
        rows.iter().for_each(|row| put(&mut found.near, *row as usize, true));
        let first = rows.iter().take(GROUP_ROW_COUNT_MAX).map(|row| u64::from(*row)).collect();
        listed.push((u32::try_from(rows.len()).unwrap_or(u32::MAX), first));
    }
    found.near_largest = largest(listed);
    for rows in groups.values() {
        let size = (rows.len().saturating_sub(1), hashes.len());
        for row in rows {
            let near = mark(size, at(&near.similarities, *row as usize));
            let greatest = at(&found.marks, *row as usize).max(near);
            put(&mut found.marks, *row as usize, greatest);
        }
    }
    found.cut_short = near.cut_short;
}

fn mark_near(found: &mut Duplicates, neighbours: &Neighbours, hashes: &[u64]) {
    let nearest: Vec<f32> = (0..hashes.len())
        .map(|index| neighbours.of(index).next().map_or(f32::INFINITY, |(_, distance)| distance.sqrt()))
        .collect();
    let limit = NEAR_SHARE * crate::at::quantile(&nearest, 0.5);
    for (index, near) in found.near.iter_mut().enumerate() {
        let close = neighbours.of(index).take_while(|(_, distance)| distance.sqrt() <= limit);
        *near = limit > 0.0 && close.into_iter().any(|(other, _)| at(hashes, other) != at(hashes, index));
    }
}

/// A hash of everything but the label.
pub(crate) fn row_hash(input: &Input, index: usize) -> u64 {
    let mut hash = 0;
    let tables = [Some(&input.features.values), input.embeddings.as_ref()];
    for value in tables.into_iter().flatten().flat_map(|table| table.row(index)) {
        hash = mix(hash ^ u64::from((value + 0.0).to_bits()));
    }
    if let Some(texts) = &input.texts {
        for (token, count) in texts.words.row(index).filter(|(token, _)| *token < TOKEN_COUNT) {
            hash = mix(hash ^ (token as u64) << 32 ^ u64::from(count.to_bits()));
        }
    }
    if let Some(images) = &input.images {
        for eight in images.image(index).chunks(8) {
            hash = mix(eight.iter().fold(hash, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte)));
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Column, ColumnKind, Features, Groups};
    use crate::knn::{anchors, neighbours};
    use crate::random::Random;
    use crate::table::Matrix;
    use crate::testing::quiet;

    #[test]
    fn copies_contradictions_and_near_copies_are_told_apart() {
        let mut random = Random::new(4, 4);
        let mut values: Vec<f32> = (0..60).map(|_| random.normal()).collect();
        let (first, second) = ([values[0], values[1], values[2]], [values[3], values[4], values[5]]);
        values.extend(first);
        values.extend(second);
        values.extend([values[6] + 1e-4, values[7], values[8]]);
        let labels: Vec<u32> = (0..23).map(|index| u32::from(index == 21)).collect();
        let columns = (0..3).map(|index| Column { name: index.to_string(), kind: ColumnKind::Number }).collect();
        let input = Input {
            features: Features { columns, values: Matrix::new(3, values).unwrap() },
            labels: Some(Groups { of_rows: labels, names: vec!["a".to_owned(), "b".to_owned()] }),
            ..Input::default()
        };
        let points = &input.features.values;
        let near = quiet(|watch| neighbours(points, &anchors(23, 1), watch)).unwrap();
        let found = quiet(|watch| duplicates(&input, &near, 1, watch)).unwrap();
        assert_eq!((found.copies[0], found.copies[20], found.copies[5]), (1, 1, 0));
        assert!(found.contradicted[1] && found.contradicted[21] && !found.contradicted[0]);
        assert!(found.near[2] && found.near[22] && !found.near[0]);
        assert_eq!(found.largest.len(), 2);
    }

    #[test]
    fn nearly_equal_texts_are_one_group_with_the_equal_ones() {
        // Twenty rows of tokens of their own; then a text, the same, and the same with one token changed.
        let own = |row: u32| (0..20).map(|token| row * 20 + token).collect::<Vec<u32>>();
        let mut rows: Vec<Vec<u32>> = (0..20).map(own).collect();
        rows.push(own(3));
        rows.push(own(3).into_iter().map(|token| if token == 79 { 500 } else { token }).collect());
        let input = crate::testing::texts(600, rows);
        let near = Neighbours { rows: Vec::new(), distances: Vec::new() };
        let found = quiet(|watch| duplicates(&input, &near, 1, watch)).unwrap();
        assert_eq!(found.near_largest, [(3, vec![3, 20, 21])]);
        assert!(found.near[3] && found.near[21] && !found.near[4]);
        // Of a group of three; one that differs in a token of twenty shares 19 of 21.
        let size = 3.0_f32.ln() / 22.0_f32.ln();
        assert!((found.marks[21] - size * (0.8 + 0.2 * 19.0 / 21.0)).abs() < 1e-6 && found.marks[4] == 0.0);
        assert!((found.marks[3] - size).abs() < 1e-6);
        assert_eq!((found.copies[3], found.copies[21]), (1, 0));
    }
}
