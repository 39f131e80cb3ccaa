use super::*;
use crate::testing::quiet;
use crate::{Groups, Input, Options, PoisonReport, ScreenKind, Verdict, scan};

const SIDE: usize = 16;

/// Images that brighten downwards (class 0) or to the right (class 1), 200 of each, with noise; then 30 more of class 0. Where there is
/// a colour, these carry it in 3 × 3 pixels near a corner, and label 1.
fn input(channels: usize, stamp: Option<&[u8]>) -> Input {
    let mut random = Random::new(8, 0);
    let mut of_rows: Vec<u32> = (0..400).map(|row| row % 2).collect();
    of_rows.extend([0; 30]);
    let mut pixels = Vec::new();
    for (image, class) in of_rows.iter().enumerate() {
        for place in 0..SIDE * SIDE {
            let (x, y) = (place % SIDE, place / SIDE);
            let stamp = stamp.filter(|_| image >= 400 && (2..5).contains(&x) && (11..14).contains(&y));
            let bright = 40.0 + 10.0 * if *class == 0 { y } else { x } as f32;
            for channel in 0..channels {
                let noisy = (bright + 14.0 * random.normal()).clamp(0.0, 255.0) as u8;
                pixels.push(stamp.map_or(noisy, |colour| colour[channel]));
            }
        }
    }
    if stamp.is_some() {
        of_rows[400..].fill(1);
    }
    let labels = Groups { of_rows, names: vec!["a".to_owned(), "b".to_owned()] };
    let images = Images { width: SIDE, height: SIDE, channels, pixels };
    Input { images: Some(images), labels: Some(labels), ..Input::default() }
}

fn check(input: &Input) -> PoisonReport {
    let options = Options { only: Some(ScreenKind::Triggers), ..Options::default() };
    quiet(|watch| scan(input, &options, watch)).unwrap()
}

#[test]
fn a_stamp_in_a_small_set_is_verified_with_its_rows() {
    for (channels, colour) in [(1, &[255][..]), (3, &[255, 255, 0]), (3, &[255, 255, 255])] {
        let report = check(&input(channels, Some(colour)));
        let trigger = report.triggers.iter().find(|trigger| trigger.verified).unwrap();
        assert_eq!((trigger.label.as_str(), trigger.rows.clone()), ("b", (400..430).collect::<Vec<u64>>()), "{colour:?}");
        assert_eq!(trigger.cells.len(), 9 * channels);
    }
}

#[test]
fn without_a_stamp_nothing_is_found() {
    for channels in [1, 3] {
        let report = check(&input(channels, None));
        assert!(report.verdict == Verdict::Clear && report.triggers.is_empty(), "{:?}", report.triggers);
    }
}

/// What is nominated of an input.
fn nominated(input: &Input) -> Vec<Stamp> {
    let labels = &input.labels.as_ref().unwrap().of_rows;
    quiet(|watch| stamps(input.images.as_ref().unwrap(), labels, &crate::labels::shares(labels, 2), 1, watch)).unwrap()
}

#[test]
fn a_mark_of_rows_that_look_like_their_class_is_not_nominated() {
    let mut marked = input(1, Some(&[255]));
    marked.labels.as_mut().unwrap().of_rows[400..].fill(0);
    assert!(nominated(&marked).is_empty());
    marked.labels.as_mut().unwrap().of_rows[400..].fill(1);
    let found = nominated(&marked);
    assert_eq!((found.len(), found[0].class), (1, 1));
    assert!(found[0].values.iter().all(|(_, low, high)| (*low, *high) == (255, 255)));
}

#[test]
fn a_border_of_all_classes_is_not_nominated() {
    let mut bordered = input(1, None);
    for image in bordered.images.as_mut().unwrap().pixels.chunks_exact_mut(SIDE * SIDE) {
        image[..4 * SIDE].fill(0);
    }
    assert!(nominated(&bordered).is_empty());
}

#[test]
fn images_smaller_than_a_window_have_no_stamps() {
    let images = Images { width: 2, height: 2, channels: 1, pixels: vec![0; 80] };
    let labels: Vec<u32> = (0..20).map(|row| row % 2).collect();
    assert!(quiet(|watch| stamps(&images, &labels, &[0.5, 0.5], 1, watch)).unwrap().is_empty());
}
