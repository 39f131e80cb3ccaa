//! NumPy files, good and hostile, through the crate's own door.

use super::header::tests::array;
use super::zip::tests::{Entry, archive, stored};
use crate::testing::{Random, columns, open, rows, survives};
use crate::{DataFile, ReadOptions, Table};

fn plain(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    array(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"), data)
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn check(path: &str, bytes: Vec<u8>, expected_columns: &[&str], expected_rows: &[&[&str]]) {
    let table = open(path, bytes).unwrap();
    assert_eq!(columns(&table), expected_columns);
    assert_eq!(rows(&table).unwrap(), expected_rows);
}

fn refused(path: &str, bytes: Vec<u8>, expected: &str) {
    let error = open(path, bytes).and_then(|table| rows(&table)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn arrays_are_tables() {
    check("a.npy", plain("'<i2'", "(3,)", &[1, 0, 0xff, 0xff, 0, 1]), &["value: Int64"], &[&["1"], &["-1"], &["256"]]);
    check("a.npy", plain("'|b1'", "(2,)", &[1, 0]), &["value: Boolean"], &[&["true"], &["false"]]);
    check("a.npy", plain("'<f2'", "(1,)", &[0, 0x3c]), &["value: Float64"], &[&["1.0"]]);
    check(
        "a.npy",
        plain("'<f4'", "(2, 2)", &floats(&[1.0, 2.0, 3.0, f32::NAN])),
        &["value_0: Float64", "value_1: Float64"],
        &[&["1.0", "2.0"], &["3.0", "NaN"]],
    );
    check(
        "a.npy",
        plain("'<U2'", "(2,)", &[97, 0, 0, 0, 0, 0, 0, 0, 0xe9, 0, 0, 0, 98, 0, 0, 0]),
        &["value: Utf8"],
        &[&["a"], &["éb"]],
    );
    check("a.npy", plain("'<M8[D]'", "(1,)", &[1, 0, 0, 0, 0, 0, 0, 0]), &["value: Timestamp(µs)"], &[&["1970-01-02T00:00:00"]]);
    check(
        "a.npy",
        plain("[('a', '|u1'), ('b', '|S2')]", "(2,)", b"\x07x\0\x08yz"),
        &["a: Int64", "b: Utf8"],
        &[&["7", "x"], &["8", "yz"]],
    );
    let table = open("a.npy", plain("'|u1'", "(2, 6, 7)", &[9; 84])).unwrap();
    assert_eq!(columns(&table), ["value: FixedSizeList(42 x Float64)"]);
    assert_eq!(rows(&table).unwrap().len(), 2);
}

#[test]
fn fortran_order_is_turned() {
    let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
    check(
        "a.npy",
        array(header, &floats(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0])),
        &["value_0: Float64", "value_1: Float64", "value_2: Float64"],
        &[&["1.0", "2.0", "3.0"], &["4.0", "5.0", "6.0"]],
    );
}

#[test]
fn archives_hold_columns() {
    let x = plain("'<f4'", "(2, 2)", &floats(&[1.0, 2.0, 3.0, 4.0]));
    let y = plain("'|i1'", "(2,)", &[0, 1]);
    for deflated in [false, true] {
        let entries = [Entry { name: "x.npy", data: &x, deflated, claimed: None }, stored("y.npy", &y)];
        check(
            "a.npz",
            archive(&entries),
            &["x_0: Float64", "x_1: Float64", "y: Int64"],
            &[&["1.0", "2.0", "0"], &["3.0", "4.0", "1"]],
        );
    }
    let z = plain("'|i1'", "(3,)", &[0, 1, 2]);
    refused(
        "a.npz",
        archive(&[stored("x.npy", &x), stored("z.npy", &z)]),
        "arrays of different lengths: `x` has 2 rows, `z` has 3",
    );
    refused("a.npz", archive(&[stored("x.txt", b"hello")]), "the member `x.txt`, which is not read");
}

#[test]
fn bombs_end_in_errors() {
    let data = plain("'|i1'", "(100,)", &[0; 100]);
    let short = Entry { name: "a.npy", data: &data, deflated: true, claimed: Some(u32::try_from(data.len()).unwrap() - 1) };
    refused("a.npz", archive(&[short]), "does not fit its size");
    // Honest about the shape, but the deflated bytes go on.
    let mut long = plain("'|i1'", "(100,)", &[0; 100]);
    let honest = u32::try_from(long.len()).unwrap();
    long.extend([0; 1000]);
    let entry = Entry { name: "a.npy", data: &long, deflated: true, claimed: Some(honest) };
    refused("a.npz", archive(&[entry]), "grows beyond its claimed size: it looks like a zip bomb");
    let bomb = Entry { name: "a.npy", data: &data, deflated: true, claimed: Some(u32::MAX - 1) };
    refused("a.npz", archive(&[bomb]), "it looks like a zip bomb");
}

#[test]
fn whole_numbers_are_exact() {
    let data = |numbers: [u64; 2]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let first = (1 << 53) + 1;
    check(
        "a.npy",
        plain("'<u8'", "(2,)", &data([first, first + 1])),
        &["value: Int64"],
        &[&["9007199254740993"], &["9007199254740994"]],
    );
    let far = plain("'<u8'", "(2,)", &data([u64::MAX, u64::MAX - 1]));
    for deflated in [false, true] {
        let entry = Entry { name: "x.npy", data: &far, deflated, claimed: None };
        check("a.npz", archive(&[entry]), &["x: UInt64"], &[&["18446744073709551615"], &["18446744073709551614"]]);
    }
}

#[test]
fn a_stored_array_has_its_checksum() {
    let x = plain("'<i8'", "(2,)", &[7; 16]);
    let good = archive(&[stored("x.npy", &x)]);
    open("a.npz", good.clone()).unwrap();
    let mut bad = good.clone();
    let at = bad.windows(16).position(|window| window == [7; 16]).unwrap();
    bad[at] = 8;
    refused("a.npz", bad, "a stored array does not have its checksum");
    let mut bad = good.clone();
    let crc_at = good.windows(4).position(|window| window == b"PK\x01\x02").unwrap() + 16;
    bad[crc_at] ^= 1;
    refused("a.npz", bad, "a stored array does not have its checksum");
}

#[test]
fn claims_must_fit() {
    refused("a.npy", plain("'<f8'", "(1000000000000,)", &[0; 80]), "its shape [1000000000000] does not fit its size");
    refused("a.npy", plain("'<f8'", "(18446744073709551615, 18446744073709551615)", &[0; 80]), "its rows have");
    refused("a.npy", plain("'<f8'", "(10, 0)", &[]), "its rows are empty");
    refused("a.npy", plain("'<f8'", "()", &[0; 8]), "a single value");
    refused("a.npy", plain("'|O'", "(1,)", b"\x80\x04"), "Python objects, which are never loaded");
}

#[test]
fn many_rows_in_partitions() {
    let data: Vec<u8> = (0..5_000_000_u64).flat_map(u64::to_le_bytes).collect();
    let table = open("a.npy", plain("'<i8'", "(5000000,)", &data)).unwrap();
    assert_eq!(table.partitions().len(), 3);
    let mut expected = 0;
    for index in 0..3 {
        for batch in table.read(index, None).unwrap() {
            let batch = batch.unwrap();
            let numbers = batch.column(0).as_any().downcast_ref::<arrow_array::Int64Array>().unwrap();
            assert!(numbers.values().iter().zip(expected..).all(|(found, expected)| *found == expected));
            expected += batch.num_rows() as i64;
        }
    }
    assert_eq!(expected, 5_000_000);
}

#[test]
fn files_of_one_table_agree() {
    let files = vec![
        DataFile::in_memory("a.npy", plain("'|i1'", "(1,)", &[1])),
        DataFile::in_memory("b.npy", plain("'<f4'", "(1,)", &[0; 4])),
    ];
    let error = Table::open(files, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("column 1, `value`, has the type Float64 instead of Int64"), "{error}");
}

#[test]
fn damaged_files_never_panic() {
    let data = plain("[('a', '|u1'), ('b', '<U1')]", "(3,)", b"\x07a\0\0\0\x08b\0\0\0\x09c\0\0\0");
    let zipped = archive(&[stored("x.npy", &data), Entry { name: "y.npy", data: &data, deflated: true, claimed: None }]);
    let mut random = Random::new(13);
    for _ in 0..5_000 {
        survives("a.npy", random.damage(&data), false);
        survives("a.npz", random.damage(&zipped), false);
    }
}
