//! Whole files of each format: good, bad, cut, and broken at random.

mod disguises;

use std::collections::BTreeSet;

use crate::{FileReport, Limits, Scanner, Verdict};

const SYSTEM: &[u8] = b"cos\nsystem\n(S'true'\ntR.";

pub(crate) fn scan(name: &str, bytes: &[u8]) -> FileReport {
    Scanner::new(Limits::default()).unwrap().scan(name, &bytes.to_vec()).unwrap()
}

#[track_caller]
fn check(name: &str, bytes: &[u8], wanted: Verdict, rule: &str) {
    let report = scan(name, bytes);
    let rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule.id).collect();
    assert_eq!(report.verdict, wanted, "{name}: {:?}", report.findings);
    assert!(rule.is_empty() || rules.contains(&rule), "{name}: `{rule}` is not among {rules:?}");
}

/// A zip of stored members; `change` may alter the member's local name.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut central) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(checksum.sum().to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        let offset = file.len() as u32;
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(*content);
        central.extend(b"PK\x01\x02\x14\x00");
        central.extend(&common);
        central.extend([0; 10]);
        central.extend(0_u32.to_le_bytes());
        central.truncate(central.len() - 4);
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let start = file.len() as u32;
    file.extend(&central);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((members.len() as u16).to_le_bytes());
    file.extend((members.len() as u16).to_le_bytes());
    file.extend((central.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

fn gguf(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend(0_u64.to_le_bytes());
    file.extend((pairs.len() as u64).to_le_bytes());
    for (key, value) in pairs {
        file.extend((key.len() as u64).to_le_bytes());
        file.extend(key.as_bytes());
        file.extend(8_u32.to_le_bytes());
        file.extend((value.len() as u64).to_le_bytes());
        file.extend(value.as_bytes());
    }
    file
}

/// A field of a protocol buffer.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, content.len() as u8][..], content].concat()
}

fn onnx(domain: &str, operator: &str, location: &str) -> Vec<u8> {
    let node = [field(4, operator.as_bytes()), field(7, domain.as_bytes())].concat();
    let pair = [field(1, b"location"), field(2, location.as_bytes())].concat();
    let tensor = if location.is_empty() { Vec::new() } else { field(13, &pair) };
    let graph = [field(1, &node), field(5, &tensor)].concat();
    [b"\x08\x08".to_vec(), field(7, &graph)].concat()
}

fn npy(descriptor: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descriptor}, 'fortran_order': False, 'shape': (2,), }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), payload].concat()
}

fn tar(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    head[148..156].fill(b' ');
    head[156] = kind;
    head[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    head.extend(content);
    head.resize(head.len().next_multiple_of(512) + 1024, 0);
    head
}

/// Good files of each format.
fn good() -> Vec<(&'static str, Vec<u8>)> {
    let tensor = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#;
    let keras =
        br#"{"module":"keras","class_name":"Sequential","config":{"layers":[{"module":"keras.layers","class_name":"Dense"}]}}"#;
    let skops = br#"{"__class__":"LogisticRegression","__module__":"sklearn.linear_model._logistic","__loader__":"ObjectNode"}"#;
    let torch = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n\
        ((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRu.";
    vec![
        ("a.pkl", b"\x80\x04}\x8c\x01aK\x01s.".to_vec()),
        ("a.zip", zip(&[("a.pkl", b"\x80\x04N."), ("b.json", b"{}")])),
        ("a.pt", zip(&[("m/data.pkl", torch), ("m/data/0", &[0; 8]), ("m/version", b"3\n")])),
        ("a.keras", zip(&[("metadata.json", b"{}"), ("config.json", keras)])),
        ("a.skops", zip(&[("schema.json", skops)])),
        ("a.tar", tar("a.pkl", b'0', b"\x80\x04N.")),
        ("a.npy", npy("'<f8'", &[0; 16])),
        ("a.safetensors", safetensors(tensor, 11)),
        ("a.gguf", gguf(&[("general.architecture", "llama"), ("tokenizer.chat_template", "{{ messages }}")])),
        ("a.onnx", onnx("", "Add", "")),
        ("a.ubj", b"{L\0\0\0\0\0\0\0\x07learner{}L\0\0\0\0\0\0\0\x07version[$i#L\0\0\0\0\0\0\0\x02\x01\x02}".to_vec()),
        ("a.json", br#"{"learner":{},"version":[1,2,3]}"#.to_vec()),
        ("a.txt", b"tree\nversion=v4\nnum_class=1\n\nTree=0\n\nend of trees\n".to_vec()),
        ("MLmodel", b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n  sklearn:\n    code: null\n".to_vec()),
        ("README.md", "# Ein Modell\n\ncontents\nfoo\n".as_bytes().to_vec()),
        ("saved_model.pb", [b"\x08\x01".to_vec(), field(2, &field(2, &field(1, &field(2, b"MatMul"))))].concat()),
    ]
}

#[test]
fn good_files_are_clean() {
    for (name, bytes) in good() {
        check(name, &bytes, Verdict::Clean, "");
    }
}

#[test]
fn no_cut_file_is_clean() {
    for (name, bytes) in good() {
        // Texts and protocol buffers have no end of their own; for them being cut is no change of format.
        if matches!(name, "MLmodel" | "README.md" | "a.onnx" | "saved_model.pb" | "a.tar") {
            continue;
        }
        for length in 1..bytes.len() {
            let report = scan(name, &bytes[..length]);
            // A text that is cut before its marks is still a text.
            let is_text = name == "a.txt" && length < 14;
            let only_space = name == "a.txt" && length == bytes.len() - 1;
            assert!(report.verdict != Verdict::Clean || is_text || only_space, "{name} cut at {length}: {report:?}");
        }
    }
}

#[test]
fn hostile_files_end_soon() {
    // A fixed sequence of numbers: any failure can be repeated.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let scanner = Scanner::new(Limits { decompressed_bytes_max: 16 << 20 }).unwrap();
    for (name, bytes) in good() {
        for _ in 0..200 {
            let mut bytes = bytes.clone();
            for _ in 0..=next(6) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = next(256) as u8,
                    1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][next(5)],
                    _ => bytes.extend_from_within(at..(at + next(32)).min(bytes.len())),
                }
            }
            let report = scanner.scan(name, &bytes).unwrap();
            assert!(!report.format.is_empty());
        }
    }
}

#[test]
fn zips_on_which_readers_could_differ_are_blocked() {
    let benign = zip(&[("m/data.pkl", b"\x80\x04N.")]);
    check("a", &zip(&[("m/data.pkl", SYSTEM)]), Verdict::Blocked, "pickle.dangerous_global");
    check("a", &zip(&[("a", b"\x80\x04N."), ("a", b"\x80\x04N.")]), Verdict::Blocked, "archive.repeated_name");
    check("a", &zip(&[("a", b"\x80\x04N."), ("A", b"\x80\x04N.")]), Verdict::Blocked, "archive.repeated_name");
    check("a", &zip(&[("a", b"\x80\x04N."), ("a/b", b"\x80\x04N.")]), Verdict::Blocked, "archive.repeated_name");
    check("a", &zip(&[("../a", b"\x80\x04N.")]), Verdict::Blocked, "archive.unsafe_name");
    check("a", &[&b"prefix"[..], &benign].concat(), Verdict::Blocked, "file.polyglot");
    check("a", &[&benign[..], b"suffix"].concat(), Verdict::Blocked, "archive.hidden_bytes");
    check("a", &[&b"\x80\x04N."[..], &benign].concat(), Verdict::Blocked, "file.polyglot");
    let change = |at: usize, value: u8| {
        let mut bytes = benign.clone();
        bytes[at] = value;
        bytes
    };
    let central = benign.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    check("a", &change(30, b'x'), Verdict::Blocked, "zip.headers_disagree");
    check("a", &change(14, 7), Verdict::Blocked, "zip.headers_disagree");
    check("a", &change(6, 1), Verdict::Blocked, "zip.encrypted");
    check("a", &change(central + 8, 1), Verdict::Blocked, "zip.encrypted");
    check("a", &change(central + 10, 9), Verdict::Blocked, "zip.method");
    check("a", &change(42, b'K'), Verdict::Blocked, "archive.checksum");
    let link = {
        let mut bytes = change(central + 5, 3);
        bytes[central + 41] = 0xa0;
        bytes
    };
    check("a", &link, Verdict::Blocked, "archive.link");
    check("a", &zip(&[("b.zip", &zip(&[("a", SYSTEM)]))]), Verdict::Blocked, "pickle.dangerous_global");
}

/// The larger end record of an archive, and its locator.
fn large_end(count: u64, central_bytes: u64, central_at: u64) -> Vec<u8> {
    let numbers: Vec<u8> = [count, count, central_bytes, central_at].iter().flat_map(|number| number.to_le_bytes()).collect();
    [&b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0"[..], &numbers].concat()
}

#[test]
fn an_archive_has_one_larger_end_record() {
    // The members, and the central directory with its place, of an archive that is not yet ended.
    let parts = |content: &[u8], shift: u32| {
        let whole = zip(&[("a.pkl", content)]);
        let central_at = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        let mut central = whole[central_at..whole.len() - 22].to_vec();
        central[42..46].copy_from_slice(&shift.to_le_bytes());
        (whole[..central_at].to_vec(), central)
    };
    let end = |at: usize| {
        let locator = [&b"PK\x06\x07\0\0\0\0"[..], &(at as u64).to_le_bytes(), &[1, 0, 0, 0]].concat();
        [&locator[..], b"PK\x05\x06\0\0\0\0\x01\0\x01\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0"].concat()
    };
    let (members, central) = parts(b"\x80\x04N.", 0);
    let record = large_end(1, central.len() as u64, members.len() as u64);
    let whole = [&members[..], &central, &record].concat();
    let at = whole.len() - record.len();
    check("a", &[&whole[..], &end(at)].concat(), Verdict::Clean, "");
    // A second archive stands behind the record that the locator names: Python reads that one.
    let (hidden, hidden_central) = parts(SYSTEM, whole.len() as u32);
    let hidden_at = (whole.len() + hidden.len()) as u64;
    let other = large_end(1, hidden_central.len() as u64, hidden_at);
    check("a", &[&whole[..], &hidden, &hidden_central, &other, &end(at)].concat(), Verdict::Blocked, "zip.headers_disagree");
    check("a", &[&whole[..], &end(at + 1)].concat(), Verdict::Blocked, "zip.headers_disagree");
    let mut longer = [&whole[..], &end(at)].concat();
    longer[at + 4] += 1;
    check("a", &longer, Verdict::Blocked, "zip.headers_disagree");
}

#[test]
fn extended_headers_of_tars_are_split_in_one_way() {
    let archive = |record: &[u8]| {
        let head = tar("pax", b'x', record);
        [&head[..head.len() - 1024], &tar("a.pkl", b'0', b"\x80\x04N.")].concat()
    };
    check("a.tar", &archive(b"15 path=b/a.pkl\n"), Verdict::Blocked, "archive.malformed");
    check("a.tar", &archive(b"16 path=b/a.pkl\n"), Verdict::Clean, "");
    check("a.tar", &archive(b"10 size=9\n"), Verdict::Blocked, "archive.malformed");
    // Read by lengths, the second entry is one; read by lines, it is none.
    check("a.tar", &archive(b"9 c=abcd;10 size=9\n"), Verdict::Blocked, "archive.malformed");
    check("a.tar", &archive(b"19 c=a\n12 path=abc\n"), Verdict::Blocked, "archive.malformed");
    check("a.tar", &archive(b"8 path=a"), Verdict::Blocked, "archive.malformed");
    // A folder with content: some readers go on where the content begins.
    check("a.tar", &tar("a/", b'0', b"\x80\x04N."), Verdict::Blocked, "archive.malformed");
}

#[test]
fn torch_archives_hold_what_torch_writes() {
    let (_, whole) = good().into_iter().find(|(name, _)| *name == "a.pt").unwrap();
    check("a.pt", &whole, Verdict::Clean, "");
    check(
        "a.pt",
        &zip(&[("m/data.pkl", b"\x80\x04N."), ("m/data/0", b"\x01\x02\x03\x04")]),
        Verdict::Unknown,
        "torch.unreferenced_member",
    );
    check("a.pt", &zip(&[("m/data.pkl", b"\x80\x04N."), ("m/data/0", SYSTEM)]), Verdict::Blocked, "pickle.dangerous_global");
    check("a.pt", &zip(&[("m/data.pkl", b"\x80\x04N."), ("m/code/a.py", b"x")]), Verdict::Blocked, "torch.script");
    check("a.pt", &zip(&[("m/data.pkl", b"\x80\x04N.\x80\x04N.")]), Verdict::Blocked, "torch.malformed");
}

#[test]
fn each_format_has_its_rules() {
    let blocked = Verdict::Blocked;
    let keras = |layer: &str| zip(&[("metadata.json", b"{}"), ("config.json", format!("{{\"layers\":[{layer}]}}").as_bytes())]);
    check("a", &keras(r#"{"module":"keras.layers","class_name":"L\u0061mbda"}"#), blocked, "keras.unsafe_layer");
    check("a", &keras(r#"{"class_name":"TFSMLayer"}"#), blocked, "keras.unsafe_layer");
    check("a", &keras(r#"{"module":"subprocess","class_name":"function","config":"run"}"#), blocked, "keras.module");
    check("a", &keras(r#"{"module":"keras.utils","class_name":"function","config":"get_file"}"#), blocked, "keras.module");
    check("a", &keras(r#"{"class_name":"Mine","registered_name":"my>Mine"}"#), Verdict::Unknown, "keras.unknown_class");
    check(
        "a",
        &zip(&[("schema.json", br#"{"__class__":"system","__module__":"os","__loader__":"ObjectNode"}"#)]),
        blocked,
        "skops.untrusted_type",
    );
    check(
        "a",
        &zip(&[("schema.json", br#"{"content":{"module_path":"os","function":"system"}}"#)]),
        blocked,
        "skops.untrusted_type",
    );
    check("a.onnx", &onnx("", "Add", "../x"), blocked, "onnx.external_path");
    check("a.onnx", &onnx("", "Add", "x.bin"), Verdict::Unknown, "onnx.external_missing");
    check("a.onnx", &onnx("mine", "Add", ""), Verdict::Unknown, "onnx.custom_domain");
    check("a.onnx", &onnx("ai.onnx.contrib", "PyOp", ""), blocked, "onnx.operator");
    check("a.onnx", &onnx("com.microsoft", "EPContext", ""), blocked, "onnx.operator");
    check("a.gguf", &gguf(&[("tokenizer.chat_template", "{{ x.__class__ }}")]), blocked, "gguf.unsafe_template");
    check("a.gguf", &gguf(&[("a", "b"), ("a", "c")]), blocked, "file.malformed");
    check("a.tar", &tar("../a", b'0', b""), blocked, "archive.unsafe_name");
    check("a.tar", &tar("a", b'2', b""), blocked, "archive.link");
    check("a.tar", &tar("a", b'0', SYSTEM), blocked, "pickle.dangerous_global");
    check("a.npy", &npy("'|O'", SYSTEM), blocked, "pickle.dangerous_global");
    check("a.npy", &npy("f()", &[0; 16]), blocked, "numpy.header");
    check("a.npy", &npy("'<f8'", &[0; 15]), blocked, "file.malformed");
    check("MLmodel", b"flavors:\n  python_function:\n    loader_module: evil\n", blocked, "mlmodel.loader");
    check(
        "MLmodel",
        b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    code: code\n",
        Verdict::Unknown,
        "mlmodel.code",
    );
    check("MLmodel", b"flavors:\n  sklearn:\n    pickled_model: ../x\n", blocked, "mlmodel.loader");
    check("config.json", br#"{"auto_map":{"AutoModel":"modeling.Mine"}}"#, Verdict::Unknown, "file.code");
    check("train.py", b"import os\n", Verdict::Unknown, "file.code");
    let operator = |name: &[u8]| [b"\x08\x01".to_vec(), field(2, &field(2, &field(1, &field(2, name))))].concat();
    check("saved_model.pb", &operator(b"WriteFile"), blocked, "tensorflow.operator");
    check("saved_model.pb", &operator(b"Mine"), Verdict::Unknown, "tensorflow.unknown_operator");
    check("a.bin", b"\x01\x02\x03", Verdict::Unknown, "file.unrecognised");
    check("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04", Verdict::Unknown, "file.unrecognised");
}

#[test]
fn safetensors_have_no_gaps_overlaps_or_tails() {
    let tensor = |start: u64, end: u64| format!(r#"{{"dtype":"F32","shape":[2],"data_offsets":[{start},{end}]}}"#);
    for (header, data) in [
        (format!(r#"{{"a":{},"b":{}}}"#, tensor(0, 8), tensor(4, 12)), 12),
        (format!(r#"{{"a":{}}}"#, tensor(8, 16)), 16),
        (format!(r#"{{"a":{}}}"#, tensor(0, 8)), 9),
        (format!(r#"{{"a":{},"a":{}}}"#, tensor(0, 8), tensor(8, 16)), 16),
        (format!(r#"{{"a":{}}}"#, tensor(0, 4)), 4),
        (r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#.to_owned(), 8),
        (r#"{"a":{"dtype":"F32","shape":[9999999999999999999,9],"data_offsets":[0,8]}}"#.to_owned(), 8),
        (r#"{"__metadata__":{"a":1}}"#.to_owned(), 0),
    ] {
        check("a.safetensors", &safetensors(&header, data), Verdict::Blocked, "file.malformed");
    }
}

#[test]
fn tensors_beside_an_onnx_file_are_known_by_it() {
    let scanner = Scanner::new(Limits::default()).unwrap();
    let names = BTreeSet::from(["m/a.onnx".to_owned(), "m/x.bin".to_owned()]);
    let files: Vec<FileReport> = [("m/a.onnx", onnx("", "Add", "x.bin")), ("m/x.bin", vec![1, 2, 3]), ("x.bin", vec![1, 2, 3])]
        .into_iter()
        .map(|(name, bytes)| scanner.scan_among(name, &bytes, &names).unwrap())
        .collect();
    let report = scanner.report(files);
    let verdicts: Vec<Verdict> = report.files.iter().map(|file| file.verdict).collect();
    assert_eq!(verdicts, [Verdict::Clean, Verdict::Clean, Verdict::Unknown]);
    assert_eq!(report.verdict, Verdict::Unknown);
    assert_eq!(scanner.report(Vec::new()).verdict, Verdict::Unknown, "nothing is not clean");
}
