//! Names that are all on the lists, put together so that loading would reach memory that the file chooses, or read other bytes
//! than were looked at.

use super::{blocked, text, verdict};
use crate::Verdict;

const MISUSED: &str = "pickle.misused_global";
const NAMESPACE: &[u8] = b"ctypes\nSimpleNamespace\n)\x81";
const INTERFACE: &str = "__array_interface__";

fn pickle(parts: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x05", parts.concat().as_slice(), b"."].concat()
}

#[track_caller]
fn misused(parts: &[&[u8]]) {
    blocked(&pickle(parts), &[], MISUSED);
}

#[track_caller]
fn clean(parts: &[&[u8]]) {
    verdict(&pickle(parts), Verdict::Clean);
}

/// An array of `count` items of this type over these bytes.
fn array(code: &str, count: u8, bytes: &[u8]) -> Vec<u8> {
    let dtype = [&b"cnumpy\ndtype\n"[..], &text(code), b"\x89\x88\x87R"].concat();
    let maker = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R";
    [&maker[..], b"(K\x01K", &[count], b"\x85", &dtype, b"\x89", bytes, b"tb"].concat()
}

#[test]
fn bytes_are_read_as_they_stand_in_the_file() {
    let load = b"ctorch.storage\n_load_from_bytes\n";
    let file = b"C\x05\x80\x04]N.";
    let other = [&file[..], b"\x940"].concat();
    // An unused memo entry is what every pickler writes.
    let two = b"C\x04\x80\x04N.";
    clean(&[load, two, b"\x94\x85\x94R\x94"]);
    // Bytes that an array was made over, whose items are then set; a tuple of them that is used twice; an array of bytes.
    misused(&[&other, load, b"h\0\x85R"]);
    misused(&[load, two, b"\x94h\0\x30\x85R"]);
    misused(&[load, two, b"\x85\x94h\0\x30R"]);
    misused(&[load, b"\x96\x04\0\0\0\0\0\0\0\x80\x04N.\x85R"]);
    // Items are never put into bytes.
    blocked(&pickle(&[b"\x96\x01\0\0\0\0\0\0\0a", b"K\0K\x62s"]), &[], "pickle.build_target");
    blocked(&pickle(&[b"\x96\x01\0\0\0\0\0\0\0a", b"(K\x62e"]), &[], "pickle.build_target");
}

#[test]
fn arrays_are_made_over_bytes_only() {
    let over = |content: &[u8]| {
        let dtype = [&b"cnumpy\ndtype\n"[..], &text("u1"), b"\x89\x88\x87R"].concat();
        [&b"cnumpy._core.numeric\n_frombuffer\n("[..], content, &dtype, b"K\x08\x85", &text("C"), b"tR"].concat()
    };
    clean(&[&over(b"C\x08AAAAAAAA")]);
    clean(&[&over(b"\x96\x08\0\0\0\0\0\0\0AAAAAAAA")]);
    // Over an array of objects, it would show their pointers, to be changed.
    misused(&[&over(&array("O8", 1, b"](Ne"))]);
    misused(&[&over(b"ccollections\nOrderedDict\n)R")]);
}

#[test]
fn classes_of_arrays_are_called_by_nothing() {
    clean(&[&array("f8", 1, b"C\x08AAAAAAAA")]);
    clean(&[b"cnumpy.ma.core\n_mareconstruct\n(cnumpy.ma\nMaskedArray\ncnumpy\nndarray\nK\0\x85C\x01btR"]);
    // Given to what calls it unseen: `dict` asks a namespace for its `keys`.
    let called = b"cfunctools\npartial\ncnumpy\nndarray\n\x85R";
    misused(&[b"ccollections\nOrderedDict\n", NAMESPACE, b"}", &text("keys"), called, b"sb\x85R"]);
    for class in [
        "numpy\nndarray",
        "numpy\nrecarray",
        "numpy\nmatrix",
        "numpy.ma\nMaskedArray",
        "numpy.char\nchararray",
        "numpy\nchararray",
    ] {
        let class = format!("c{class}\n");
        misused(&[b"](", class.as_bytes(), b"e"]);
        misused(&[b"}\x8c\x01a", class.as_bytes(), b"s"]);
        misused(&[class.as_bytes()]);
    }
    // joblib says so which class an array was of.
    clean(&[b"}", &text("subclass"), b"cnumpy\nndarray\ns"]);
}

#[test]
fn types_of_items_are_made_by_dtype_only() {
    // What NumPy gives back is a type that something else refers to.
    let given =
        b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\x02O8\x89\x88\x87Rcnumpy\ndtype\n\x8c\x02V8\x89\x88\x87R\x86R";
    misused(&[given, b"(K\x03\x8c\x01|NNNK\x08K\x01K\0tb"]);
    misused(&[b"cnumpy.dtypes\nVoidDType\nK\x08\x85R}b"]);
    misused(&[b"ccopyreg\n__newobj__\ncnumpy.dtypes\nVoidDType\nK\x08\x86R}b"]);
}

#[test]
fn no_attribute_names_memory() {
    let made = |key: &[u8]| [b"cnumpy\npoly1d\n", NAMESPACE, b"}", key, b"}sb\x85R"].concat();
    clean(&[&made(&text("coefficients"))]);
    for name in [INTERFACE, "__array_struct__", "__cuda_array_interface__"] {
        misused(&[&made(&text(name))]);
        misused(&[&made(&[b"V", name.replace('y', "\\u0079").as_bytes(), b"\n"].concat())]);
        misused(&[&made(&[b"S'", name.replace('y', "\\x79").as_bytes(), b"'\n"].concat())]);
    }
    // As an item of what makes items attributes, too.
    misused(&[b"csklearn.utils._bunch\nBunch\n)\x81", &text(INTERFACE), b"}s"]);
}

#[test]
fn names_of_attributes_are_written_in_the_file() {
    // A text that is made: of bytes in another encoding, or as an item of NumPy's.
    let made = b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\x02U1\x89\x88\x87RC\x04a\0\0\0\x86R";
    misused(&[b"cbuiltins\nstr\nC\x01a\x8c\x05utf-8\x86R"]);
    misused(&[NAMESPACE, b"}", made, b"}sb"]);
    misused(&[NAMESPACE, b"N}", made, b"}s\x86b"]);
    misused(&[b"csklearn.utils._bunch\nBunch\n)\x81", made, b"}s"]);
    misused(&[b"clightgbm.sklearn\nLGBMClassifier\n)}", made, b"}s\x92"]);
    misused(&[b"cfunctools\npartial\ncbuiltins\nlist\n\x85R(cbuiltins\nlist\n)}}", made, b"}stb"]);
    misused(&[b"ccopyreg\n_reconstructor\ncsklearn.utils._bunch\nBunch\ncbuiltins\ndict\n}", made, b"}s\x87R"]);
    // A dictionary that is made by a call.
    misused(&[b"csklearn.dummy\nDummyClassifier\n)\x81ccollections\nOrderedDict\n)Rb"]);
    clean(&[b"clightgbm.sklearn\nLGBMClassifier\n)}", &text("alpha"), b"K\x01s\x92"]);
    clean(&[b"csklearn.utils._bunch\nBunch\n)\x81", &text("alpha"), b"K\x01s"]);
    clean(&[b"}", made, b"}s"]);
}

#[test]
fn no_attribute_is_called_while_loading() {
    const LIST: &[u8] = b"cbuiltins\nlist\n";
    for name in ["append", "extend", "add", "__setstate__", "__class__", "__dict__"] {
        misused(&[NAMESPACE, b"}", &text(name), LIST, b"sb"]);
        misused(&[NAMESPACE, b"N}", &text(name), LIST, b"s\x86b"]);
        misused(&[b"csklearn.utils._bunch\nBunch\n)\x81", &text(name), LIST, b"s"]);
        misused(&[b"clightgbm.sklearn\nLGBMClassifier\n)}", &text(name), LIST, b"s\x92"]);
        // Escaped, and as an entry that comes after the dictionary was a state.
        misused(&[NAMESPACE, b"}V", name.replace('d', "\\u0064").replace("ss", "\\u0073s").as_bytes(), b"\n", LIST, b"sb"]);
        misused(&[NAMESPACE, b"}\x94bh\0", &text(name), LIST, b"s0"]);
        clean(&[b"}", &text(name), LIST, b"s"]);
    }
    // Another object's state instead of the own.
    misused(&[NAMESPACE, b"N}", &text("__dict__"), b"}s\x86b"]);
    // What is data calls nothing.
    clean(&[NAMESPACE, b"}", &text("append"), b"\x88sb"]);
    clean(&[NAMESPACE, b"}", &text("added"), LIST, b"sb"]);
}

#[test]
fn texts_in_arrays_are_looked_at() {
    let letters: Vec<u8> = INTERFACE.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    let other: Vec<u8> = INTERFACE.chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect();
    let bytes = |content: &[u8]| [&[b'C', content.len() as u8], content].concat();
    clean(&[&array("U2", 1, b"C\x08a\0\0\0b\0\0\0")]);
    misused(&[&array("U19", 1, &bytes(&letters))]);
    misused(&[&array("U19", 1, &bytes(&other))]);
    misused(&[b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\x03U19\x89\x88\x87R", &bytes(&letters), b"\x86R"]);
    // As letters of protocol 0, each zero escaped.
    let escaped: String = INTERFACE.chars().map(|letter| format!("{letter}\\u0000\\u0000\\u0000")).collect();
    let encoded = [b"c_codecs\nencode\nV", escaped.as_bytes(), b"\nVlatin1\n\x86R"].concat();
    misused(&[&array("U19", 1, &encoded)]);
    // A state that is made while loading.
    misused(&[b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87Rcbuiltins\ntuple\n]\x85Rb"]);
}
