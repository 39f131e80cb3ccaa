//! Image folders, good and hostile, through the crate's own door.

use crate::notes::NoteKind;
use crate::testing::{Random, columns, rows, survives};
use crate::{DataFile, ReadOptions, Table};

fn png_of(width: u32, height: u32, pixel: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let data = pixel.repeat((width * height) as usize);
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    bytes
}

/// A grey JPEG of 8 × 8 pixels: one block whose coefficients are all zero, which is mid grey.
fn jpeg() -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0];
    bytes.extend([1; 64]);
    bytes.extend([0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    for class in [0x00, 0x10] {
        bytes.extend([0xff, 0xc4, 0, 20, class, 1]);
        bytes.extend([0; 15]);
        bytes.push(0);
    }
    bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0b0011_1111, 0xff, 0xd9]);
    bytes
}

fn open(files: Vec<(&str, Vec<u8>)>, side: u32, colour: bool) -> Table {
    let files = files.into_iter().map(|(path, bytes)| DataFile::in_memory(path, bytes)).collect();
    let options = ReadOptions { image_side: side, image_colour: colour, ..ReadOptions::default() };
    Table::open(files, &options).unwrap()
}

#[test]
fn a_folder_is_a_table() {
    let table = open(
        vec![("set/cat/1.png", png_of(4, 6, [255, 0, 51])), ("set/dog/2.jpg", jpeg()), ("3.png", png_of(1, 1, [0; 3]))],
        2,
        true,
    );
    assert_eq!(
        columns(&table),
        [
            "path: Utf8",
            "class: Dictionary(Int32, Utf8)",
            "width: Int64",
            "height: Int64",
            "size_bytes: Int64",
            "sha256: Utf8",
            "pixels: FixedSizeList(12 x Float32)",
            "problem: Utf8"
        ]
    );
    let rows = rows(&table).unwrap();
    assert_eq!(rows[0][..4], ["set/cat/1.png", "cat", "4", "6"]);
    assert!(rows[0][6].starts_with("[1.0, 0.0, 0.2, 1.0"), "{}", rows[0][6]);
    assert_eq!((rows[1][1].as_str(), rows[1][2].as_str(), rows[1][7].as_str()), ("dog", "8", "∅"));
    assert!(rows[1][6].starts_with("[0.50"), "{}", rows[1][6]);
    assert_eq!((rows[2][1].as_str(), rows[2][5].len()), ("∅", 64));
}

#[test]
fn grey_is_the_luma() {
    let table = open(vec![("a.png", png_of(3, 3, [255, 255, 255]))], 1, false);
    assert_eq!(rows(&table).unwrap()[0][6], "[1.0]");
}

#[test]
fn a_bad_image_is_a_bad_row() {
    let mut cut = png_of(50, 50, [1, 2, 3]);
    cut.truncate(60);
    // 100,000 × 100,000 pixels in a header of a few bytes.
    let mut huge = png_of(1, 1, [0; 3]);
    huge[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let mut crc = flate2::Crc::new();
    crc.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let table = open(vec![("x/a.png", png_of(1, 1, [9; 3])), ("x/b.png", cut), ("x/c.png", huge)], 2, true);
    let rows = rows(&table).unwrap();
    assert_eq!((rows.len(), rows[0][7].as_str()), (3, "∅"));
    assert!(rows[1][7].starts_with("not a whole PNG"), "{}", rows[1][7]);
    assert!(rows[2][7].contains("100000 × 100000 pixels") || rows[2][7].starts_with("not a whole PNG"), "{}", rows[2][7]);
    let notes = table.notes();
    let note = notes.find(NoteKind::Undecodable, Some("pixels")).unwrap();
    assert_eq!((note.count, note.examples[0].row), (2, 1));
}

#[test]
fn what_hides_in_images_is_found() {
    let behind = |end: &[u8]| [png_of(2, 2, [1, 2, 3]), end.to_vec()].concat();
    let files = vec![
        ("x/zip.png", behind(b"PK\x03\x04 archive PK\x05\x06 end")),
        ("x/script.jpg", [jpeg(), b"<?php system($_GET[0]);".to_vec()].concat()),
        ("x/notes.png", behind(b"camera notes")),
        ("x/other.png", jpeg()),
        ("x/clean.png", behind(b"\0\0\0\0")),
        ("x/clean.jpeg", jpeg()),
    ];
    let table = open(files, 2, true);
    let found = rows(&table).unwrap();
    assert_eq!(rows(&table).unwrap(), found);
    assert_eq!(found[0][7], "a zip archive stands behind the picture's end");
    assert_eq!(found[1][7], "a script or a page stands behind the picture's end");
    assert!(found[2..].iter().all(|row| row[7] == "∅"), "{found:?}");
    let notes = table.notes();
    let seen = |kind| notes.find(kind, Some("path")).map(|note| (note.count, note.examples[0].row));
    assert_eq!(seen(NoteKind::TrailingBytes), Some((1, 2)), "once, however often it is read");
    assert_eq!(seen(NoteKind::Misnamed), Some((1, 3)));
    assert_eq!(seen(NoteKind::Place), None);
}

#[test]
fn damaged_images_never_panic() {
    let (png, jpeg) = (png_of(5, 5, [1, 2, 3]), jpeg());
    let mut random = Random::new(14);
    for _ in 0..2_000 {
        survives("a.png", random.damage(&png), true);
        survives("a.jpg", random.damage(&jpeg), true);
    }
}
