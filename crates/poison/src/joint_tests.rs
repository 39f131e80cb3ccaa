use super::*;

/// What cleanlab 2.9.0 says of these labels and probabilities (in sixty-fourths): `find_label_issues` and
/// `compute_confident_joint`, with their defaults.
const LABELS: [u32; 48] = [
    0, 0, 2, 1, 1, 1, 2, 0, 1, 0, 2, 2, 1, 0, 2, 0, 2, 2, 2, 1, 2, 1, 0, 1, 1, 0, 2, 2, 2, 0, 1, 0, 0, 2, 1, 1, 2, 1, 0, 2, 2, 2,
    2, 0, 0, 1, 2, 1,
];
const SIXTY_FOURTHS: [[u8; 3]; 48] = [
    [35, 23, 6],
    [29, 17, 18],
    [9, 6, 49],
    [24, 26, 14],
    [30, 32, 2],
    [2, 56, 6],
    [27, 7, 30],
    [27, 22, 15],
    [11, 52, 1],
    [29, 12, 23],
    [1, 57, 6],
    [2, 13, 49],
    [8, 31, 25],
    [31, 7, 26],
    [12, 47, 5],
    [32, 2, 30],
    [2, 5, 57],
    [1, 22, 41],
    [20, 11, 33],
    [4, 54, 6],
    [12, 4, 48],
    [6, 37, 21],
    [27, 25, 12],
    [21, 38, 5],
    [1, 56, 7],
    [5, 55, 4],
    [26, 11, 27],
    [27, 27, 10],
    [8, 26, 30],
    [28, 2, 34],
    [31, 29, 4],
    [1, 20, 43],
    [53, 3, 8],
    [22, 8, 34],
    [1, 50, 13],
    [29, 30, 5],
    [30, 6, 28],
    [25, 2, 37],
    [27, 10, 27],
    [18, 30, 16],
    [4, 13, 47],
    [27, 6, 31],
    [29, 34, 1],
    [33, 31, 0],
    [45, 8, 11],
    [9, 29, 26],
    [11, 24, 29],
    [31, 32, 1],
];
const ISSUES: [u32; 9] = [10, 14, 25, 27, 29, 30, 31, 37, 42];
const JOINT: [f64; 9] = [8.0, 1.0, 2.0, 4.0, 7.0, 1.0, 2.0, 2.0, 9.0];
const CALIBRATED: [f64; 9] = [10.0, 1.0, 3.0, 5.0, 9.0, 1.0, 3.0, 3.0, 13.0];

fn golden() -> Matrix {
    let values = SIXTY_FOURTHS.iter().flatten().map(|part| f32::from(*part) / 64.0);
    Matrix::new(3, values.collect()).unwrap()
}

#[test]
fn the_issues_are_those_of_cleanlab() {
    assert_eq!(label_issues(&LABELS, &golden()).unwrap(), ISSUES);
    let joint = Joint::confident(&LABELS, &golden());
    assert_eq!(joint.counts, JOINT);
    assert_eq!(joint.calibrated(&LABELS).counts, CALIBRATED);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(label_issues(&LABELS[1..], &golden()).is_err());
    assert!(label_issues(&[3; 48], &golden()).is_err());
    assert_eq!(label_issues(&[], &Matrix::zeros(0, 3)).unwrap(), [0; 0]);
}

/// Three classes that the models tell apart well; `flips` rows that look like class 2 carry class 0.
fn with_flips(flips: usize) -> (Vec<u32>, Matrix) {
    let mut labels: Vec<u32> = (0..3_000).map(|index| index % 3).collect();
    let rows = labels.iter().flat_map(|label| {
        let mut row = [0.04; 3];
        row[*label as usize] = 0.92;
        row
    });
    let probabilities = Matrix::new(3, rows.collect()).unwrap();
    for label in labels.iter_mut().skip(2).step_by(3).take(flips) {
        *label = 0;
    }
    (labels, probabilities)
}

#[test]
fn flips_in_one_direction_are_named_and_their_rows_are_the_most_doubtful() {
    let (labels, probabilities) = with_flips(200);
    let joint = Joint::confident(&labels, &probabilities);
    let pairs = joint.pairs();
    assert_eq!(pairs.len(), 1);
    assert_eq!((pairs[0].given, pairs[0].looks_like, pairs[0].excess), (0, 2, 200.0));
    let doubts = doubts(&labels, &probabilities, Some(&joint.noise(&pairs)));
    assert!(doubts[2] > 0.8 && doubts[0] < 0.05, "{} {}", doubts[2], doubts[0]);
}

#[test]
fn flips_both_ways_and_no_flips_name_no_pair() {
    let (mut labels, probabilities) = with_flips(200);
    assert!(Joint::confident(&with_flips(0).0, &probabilities).pairs().is_empty());
    for label in labels.iter_mut().step_by(3).take(200) {
        *label = 2;
    }
    assert!(Joint::confident(&labels, &probabilities).pairs().is_empty());
}
