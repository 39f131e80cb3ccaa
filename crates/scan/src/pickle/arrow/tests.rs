//! Arrays as pyarrow writes them, and each way in which one could lie.

use crate::Verdict;
use crate::tests::scan;

#[track_caller]
fn check(parts: &[&[u8]], wanted: Verdict) {
    let report = scan("a.pkl", &[b"\x80\x04", parts.concat().as_slice(), b"."].concat());
    assert_eq!(report.verdict, wanted, "{:?}", report.findings);
    let misused = report.findings.iter().any(|finding| finding.rule.id == "pickle.misused_global");
    assert_eq!(misused, wanted == Verdict::Blocked, "{:?}", report.findings);
}

#[track_caller]
fn clean(array: &[u8]) {
    check(&[array], Verdict::Clean);
}

#[track_caller]
fn misused(array: &[u8]) {
    check(&[array], Verdict::Blocked);
}

fn text(letters: &str) -> Vec<u8> {
    [&[0x8c, letters.len() as u8], letters.as_bytes()].concat()
}

fn alias(name: &str) -> Vec<u8> {
    [&b"cpyarrow.lib\ntype_for_alias\n"[..], &text(name), b"\x85R"].concat()
}

fn written(bytes: &[u8]) -> Vec<u8> {
    [&[b'C', bytes.len() as u8], bytes].concat()
}

fn of(content: &[u8]) -> Vec<u8> {
    [b"cpyarrow.lib\npy_buffer\n", content, b"\x85R"].concat()
}

fn buffer(bytes: Option<&[u8]>) -> Vec<u8> {
    bytes.map_or(b"N".to_vec(), |bytes| of(&written(bytes)))
}

fn int(number: i32) -> Vec<u8> {
    [&b"J"[..], &number.to_le_bytes()].concat()
}

/// What stands in the tuple of an array: its type, length, missing items and offset, its buffers, its dictionary.
fn data(dtype: &[u8], numbers: [i32; 3], buffers: &[Vec<u8>], dictionary: &[u8]) -> Vec<u8> {
    let numbers = numbers.map(int).concat();
    [b"(", dtype, &numbers, b"](", &buffers.concat(), b"e]", dictionary, b"t"].concat()
}

fn restored(data: &[u8]) -> Vec<u8> {
    [b"cpyarrow.lib\n_restore_array\n", data, b"\x85R"].concat()
}

fn array(dtype: &[u8], numbers: [i32; 3], buffers: &[Option<&[u8]>]) -> Vec<u8> {
    let buffers: Vec<Vec<u8>> = buffers.iter().map(|bytes| buffer(*bytes)).collect();
    restored(&data(dtype, numbers, &buffers, b"N"))
}

fn offsets(ends: &[u32]) -> Vec<u8> {
    ends.iter().flat_map(|end| end.to_le_bytes()).collect()
}

/// `indices` into two texts, by bytes.
fn categories(indices: &[u8], inner: &str) -> Vec<u8> {
    let dtype = [&b"cpyarrow.lib\ndictionary\n"[..], &alias("int8"), &alias("string"), b"\x89\x87R"].concat();
    let of = match inner {
        "string" => data(&alias("string"), [2, 0, 0], &[None, Some(&offsets(&[0, 1, 2])[..]), Some(b"ab")].map(buffer), b"N"),
        other => data(&alias(other), [2, 0, 0], &[None, Some(&[0; 16][..])].map(buffer), b"N"),
    };
    restored(&data(&dtype, [indices.len() as i32, 0, 0], &[None, Some(indices)].map(buffer), &of))
}

#[test]
fn arrays_as_pyarrow_writes_them_are_clean() {
    clean(&array(&alias("int64"), [2, 0, 0], &[None, Some(&[0; 16])]));
    clean(&array(&alias("int64"), [2, 1, 0], &[Some(&[0b01]), Some(&[0; 16])]));
    clean(&array(&alias("int64"), [1, -1, 1], &[Some(&[0b01]), Some(&[0; 16])]));
    clean(&array(&alias("bool"), [9, 0, 0], &[None, Some(&[0; 2])]));
    clean(&array(&alias("date32[day]"), [1, 0, 0], &[None, Some(&[0; 4])]));
    clean(&array(&alias("null"), [3, 3, 0], &[None]));
    clean(&array(b"cpyarrow.lib\ntimestamp\n\x8c\x02ns\x8c\x03UTC\x86R", [1, 0, 0], &[None, Some(&[0; 8])]));
    clean(&array(b"cpyarrow.lib\ndecimal128\nK\x0aK\x02\x86R", [1, 0, 0], &[None, Some(&[0; 16])]));
    clean(&array(b"cpyarrow.lib\nbinary\nK\x03\x85R", [2, 0, 0], &[None, Some(&[0; 6])]));
    let texts = offsets(&[0, 1, 3, 3]);
    clean(&array(&alias("string"), [3, 1, 0], &[Some(&[0b011]), Some(&texts), Some("aö".as_bytes())]));
    let long: Vec<u8> = [0_u64, 1].iter().flat_map(|end| end.to_le_bytes()).collect();
    clean(&array(&alias("large_string"), [1, 0, 0], &[None, Some(&long), Some(b"a")]));
    clean(&array(&alias("binary"), [3, 0, 0], &[None, Some(&texts), Some(b"\xff\xfe\xfd")]));
    clean(&array(&alias("string"), [0, 0, 0], &[None, Some(b""), None]));
    clean(&categories(&[0, 1, 0], "string"));
    // As older protocols write bytes: copied into a `bytearray`, as letters, and none.
    let copied = |content: &[u8]| of(&[b"cbuiltins\nbytearray\n", content, b"\x85R"].concat());
    let letters = b"c_codecs\nencode\nX\x04\0\0\0aaaaX\x06\0\0\0latin1\x86R";
    for content in [copied(&written(&[0; 4])), copied(letters), of(letters), of(b"\x96\x04\0\0\0\0\0\0\0aaaa")] {
        clean(&restored(&data(&alias("int32"), [1, 0, 0], &[buffer(None), content], b"N")));
    }
    clean(&restored(&data(&alias("int32"), [0, 0, 0], &[buffer(None), of(b"cbuiltins\nbytearray\n)R")], b"N")));
}

#[test]
fn buffers_hold_what_the_array_says() {
    misused(&array(&alias("int64"), [3, 0, 0], &[None, Some(&[0; 16])]));
    misused(&array(&alias("int64"), [2, 0, 1], &[None, Some(&[0; 16])]));
    misused(&array(&alias("int64"), [-1, 0, 0], &[None, Some(&[0; 16])]));
    misused(&array(&alias("int64"), [1, 0, 0], &[None, None]));
    misused(&array(&alias("bool"), [17, 0, 0], &[None, Some(&[0; 2])]));
    misused(&array(&alias("int8"), [9, 0, 0], &[Some(&[0xff]), Some(&[0; 9])]));
    // A wrong number of missing items: what is written of the others is longer than the place for them.
    misused(&array(&alias("int8"), [4, 3, 0], &[Some(&[0xff]), Some(&[0; 4])]));
    misused(&array(&alias("int8"), [4, 3, 0], &[None, Some(&[0; 4])]));
    misused(&array(&alias("null"), [3, 0, 0], &[None]));
}

#[test]
fn offsets_and_indices_stay_inside() {
    let texts = |ends: &[u32], letters: &[u8]| {
        array(&alias("string"), [ends.len() as i32 - 1, 0, 0], &[None, Some(&offsets(ends)), Some(letters)])
    };
    clean(&texts(&[0, 1, 2], b"ab"));
    misused(&texts(&[0, 1, 3], b"ab"));
    misused(&texts(&[2, 1, 2], b"ab"));
    misused(&texts(&[0, 3, 2], b"ab"));
    misused(&texts(&[0, 1], b"\xff"));
    misused(&texts(&[0, 1, 2], "ö".as_bytes()));
    misused(&array(&alias("string"), [1, 0, 0], &[None, Some(&[0; 4]), Some(b"a")]));
    misused(&array(&alias("string"), [1, 0, 0], &[None, Some(&offsets(&[0, 1])), None]));
    misused(&categories(&[0, 2], "string"));
    misused(&categories(&[0, 0xff], "string"));
    misused(&categories(&[0], "int64"));
}

#[test]
fn what_is_not_followed_is_misuse() {
    // Types with children, of one's own, and with buffers that are counted by another.
    misused(&array(&[&b"cpyarrow.lib\nlist_\n"[..], &alias("int8"), b"\x85R"].concat(), [0, 0, 0], &[None, Some(&[0; 4])]));
    misused(&array(&alias("string_view"), [1, 0, 0], &[None, Some(&[0; 16])]));
    misused(&array(b"ccollections\nOrderedDict\n)R", [1, 0, 0], &[None, Some(&[0; 16])]));
    misused(&restored(b"N"));
    misused(b"cpyarrow.lib\n_restore_array\nccollections\nOrderedDict\n)RR");
    let with = |content: &[u8]| restored(&data(&alias("int8"), [1, 0, 0], &[buffer(None), content.to_vec()], b"N"));
    misused(&with(b"ccollections\nOrderedDict\n)R"));
    misused(&with(&of(b"cbuiltins\nbytearray\ncbuiltins\nlist\n)R\x85R")));
    // A buffer over an array of objects would show their pointers.
    misused(&of(b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R"));
}

#[test]
fn what_an_array_is_made_of_is_used_once() {
    let with = |content: &[u8]| data(&alias("int8"), [1, 0, 0], &[buffer(None), content.to_vec()], b"N");
    let ours = written(&[0]);
    let kept = [&ours[..], b"\x94"].concat();
    // Memoized only, as picklers do with all.
    check(&[&restored(&with(&of(&kept)))], Verdict::Clean);
    // Fetched before or afterwards: the bytes, the buffer, the list of buffers, the tuples.
    check(&[&kept, b"0", &restored(&with(&of(b"h\0")))], Verdict::Blocked);
    check(&[&restored(&with(&of(&kept))), b"0h\0"], Verdict::Blocked);
    check(&[&restored(&with(&[&of(&ours)[..], b"\x94"].concat())), b"0h\0"], Verdict::Blocked);
    check(&[&of(&ours), b"\x940", &restored(&with(b"h\0"))], Verdict::Blocked);
    let whole = with(&of(&ours));
    check(&[b"cpyarrow.lib\n_restore_array\n", &whole, b"\x94\x85R0h\0"], Verdict::Blocked);
    check(&[b"cpyarrow.lib\n_restore_array\n", &whole, b"\x85\x94R0h\0"], Verdict::Blocked);
    check(&[b"cpyarrow.lib\n_restore_array\n", &whole, b"\x94h\0\x30\x85R"], Verdict::Blocked);
    // The list may not be changed in place, which leaves it unknown.
    let listed = [b"(", alias("int8").as_slice(), &[1, 0, 0].map(int).concat(), b"](NNe"].concat();
    let changed = [&listed[..], b"K\x01", &of(&ours), b"s]Nt"].concat();
    check(&[&restored(&changed)], Verdict::Blocked);
}

#[test]
fn streams_are_written_in_the_file_and_lead_to_no_objects() {
    let frame = |state: &[u8]| [b"cpolars.dataframe.frame\nDataFrame\n)\x81", state, b"b"].concat();
    clean(&frame(&written(b"\xff\xff\xff\xff\x10\0\0\0")));
    misused(&frame(&written(b"..\x14\0\0\0ARROW:extension:name..POLARS_EXTENSION_TYPE")));
    misused(&frame(b"ccollections\nOrderedDict\n)R"));
    misused(&frame(b"}"));
    check(&[&written(b"abc"), b"\x940", &frame(b"h\0")], Verdict::Blocked);
    misused(b"cpolars.dataframe.frame\nDataFrame\n]\x85R");
    // Plans hold pickled functions.
    let plan = scan("a.pkl", b"\x80\x04cpolars.lazyframe.frame\nLazyFrame\n)\x81C\x01ab.");
    assert_eq!(plan.verdict, Verdict::Blocked, "{:?}", plan.findings);
}
