//! Hand-made streams, each with what must be reported.

mod memory;

use crate::report::{FileReport, Use, Verdict};
use crate::{Limits, Scanner};

fn scan(bytes: &[u8]) -> FileReport {
    Scanner::new(Limits::default()).unwrap().scan("x.pkl", &bytes.to_vec()).unwrap()
}

/// The stream is blocked, imports these names, and one of the findings is by this rule.
#[track_caller]
fn blocked(bytes: &[u8], globals: &[&str], rule: &str) -> FileReport {
    let report = scan(bytes);
    let names: Vec<String> = report.globals.iter().map(|global| format!("{}.{}", global.module, global.name)).collect();
    for wanted in globals {
        assert!(names.iter().any(|name| name == wanted), "`{wanted}` is not among {names:?}");
    }
    let rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule.id).collect();
    assert!(rules.contains(&rule), "`{rule}` is not among {rules:?}");
    assert_eq!(report.verdict, Verdict::Blocked, "{rules:?}");
    report
}

#[track_caller]
fn verdict(bytes: &[u8], wanted: Verdict) {
    let report = scan(bytes);
    assert_eq!(report.verdict, wanted, "{:?}", report.findings);
}

/// `SHORT_BINUNICODE`.
fn text(letters: &str) -> Vec<u8> {
    [&[0x8c, letters.len() as u8], letters.as_bytes()].concat()
}

/// A protocol 4 pickle that calls `module.name("true")`.
fn call(module: &str, name: &str) -> Vec<u8> {
    [&[0x80, 4][..], &text(module), &text(name), b"\x93", &text("true"), b"\x85R."].concat()
}

#[test]
fn a_vectorizer_that_opens_files_is_not_clean() {
    let made = |name: &str, state: &[u8]| {
        [&[0x80, 4][..], &text("sklearn.feature_extraction.text"), &text(name), b"\x93)\x81", state, b"b."].concat()
    };
    let state = |key: &[u8], value: &str| [&b"}("[..], key, &text(value), b"u"].concat();
    for name in ["CountVectorizer", "HashingVectorizer", "TfidfVectorizer"] {
        verdict(&made(name, &state(&text("input"), "content")), Verdict::Clean);
        verdict(&made(name, &state(&text("encoding"), "filename")), Verdict::Clean);
        verdict(&made(name, &state(&text("input"), "filename")), Verdict::Unknown);
        verdict(&made(name, &state(b"V\\u0069nput\n", "filename")), Verdict::Unknown);
        // Two attributes of one name: the last one counts.
        let twice = [&state(&text("input"), "content")[..], b"(", &text("input"), &text("filename"), b"u"].concat();
        verdict(&made(name, &twice), Verdict::Unknown);
    }
    verdict(&made("TfidfTransformer", &state(&text("input"), "filename")), Verdict::Clean);
    let report = scan(&made("TfidfVectorizer", &state(&text("input"), "filename")));
    assert_eq!(report.findings[0].rule.id, "sklearn.opens_files");
}

#[test]
fn every_way_to_name_a_global_is_seen() {
    const SYSTEM: &[&str] = &["os.system"];
    let dangerous = "pickle.dangerous_global";
    blocked(b"cos\nsystem\n(S'true'\ntR.", SYSTEM, dangerous);
    blocked(b"(S'true'\nios\nsystem\n.", SYSTEM, dangerous);
    blocked(b"(cos\nsystem\nS'true'\no.", SYSTEM, dangerous);
    blocked(&call("os", "system"), SYSTEM, dangerous);
    blocked(b"\x80\x04cos\nsystem\n)\x81.", SYSTEM, dangerous);
    blocked(b"\x80\x04cos\nsystem\n)}\x92.", SYSTEM, dangerous);
    // The name as a text of Python 2, with escapes, from the memo, duplicated, popped afterwards.
    blocked(b"\x80\x04U\x02osU\x06system\x93.", SYSTEM, dangerous);
    blocked(b"\x80\x04S'\\x6fs'\nV\\u0073ystem\n\x93.", SYSTEM, dangerous);
    blocked(b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93.", SYSTEM, dangerous);
    blocked(b"\x80\x04\x8c\x02os20\x8c\x06system\x93.", SYSTEM, dangerous);
    blocked(b"\x80\x04cos\nsystem\n0N.", SYSTEM, dangerous);
    blocked(b"\x80\x04(cos\nsystem\n1N.", SYSTEM, dangerous);
    blocked(&call("os.path", "os.system"), &["os.path.os.system"], dangerous);
}

#[test]
fn a_name_must_stand_on_the_list_exactly() {
    blocked(&call("codeop", "compile_command"), &["codeop.compile_command"], "pickle.dangerous_global");
    blocked(&call("some.module", "function"), &["some.module.function"], "pickle.unknown_global");
    blocked(&call("collections", "OrderedDict.fromkeys"), &[], "pickle.unknown_global");
    blocked(b"ccollections\r\nOrderedDict\n.", &[], "pickle.unknown_global");
    verdict(b"ccollections\nOrderedDict\n)R.", Verdict::Clean);
    verdict(b"\x80\x02c__builtin__\nset\n]\x85R.", Verdict::Clean);
    verdict(&[&[0x80, 4][..], &text("collections"), &text("OrderedDict"), b"\x93)R."].concat(), Verdict::Clean);
}

#[test]
fn the_memo_is_the_one_of_cpython() {
    // `MEMOIZE` takes the count of entries as its number, whatever the numbers before were.
    blocked(b"\x80\x04\x8c\x02osq\x050\x8c\x06system\x940h\x05h\x01\x93.", &["os.system"], "pickle.dangerous_global");
    // A second `PUT` of a number does not count.
    blocked(b"\x80\x04Nq\x000\x8c\x02osq\x000\x8c\x06system\x940h\x00h\x01\x93.", &["os.system"], "pickle.dangerous_global");
    // Numbers far apart, and as a line with a sign, spaces and underscores.
    blocked(
        b"\x80\x04\x8c\x02osr\xff\xff\xff\x7f0j\xff\xff\xff\x7f\x8c\x06system\x93.",
        &["os.system"],
        "pickle.dangerous_global",
    );
    blocked(b"\x80\x04\x8c\x02osp +1_0\n0g10\n\x8c\x06system\x93.", &["os.system"], "pickle.dangerous_global");
}

#[test]
fn a_number_of_the_memo_ends_where_cpythons_reader_ends_it() {
    // At a zero byte, and after as many zeros as one likes.
    blocked(b"Np2\x00\x00tail\n0cos\nsystem\n.", &["os.system"], "pickle.malformed");
    let zeros = [&b"Np"[..], &[b'0'; 300], b"7\n0cos\nsystem\n."].concat();
    blocked(&zeros, &["os.system"], "pickle.dangerous_global");
}

#[test]
fn what_runs_before_an_error_counts() {
    for tail in [&b""[..], b"\xff", b"0000.", b"h\x63.", b"\x80\x09."] {
        blocked(&[b"cos\nsystem\n(S'true'\ntR", tail].concat(), &["os.system"], "pickle.malformed");
    }
    // Python's own unpickler takes the rest for a line, without its last byte.
    blocked(b"cos\nsystemX", &["os.system"], "pickle.malformed");
    // Without an import too, a stream that breaks off is not clean.
    verdict(b"\x80\x04]\x94(K\x01K\x02", Verdict::Blocked);
}

#[test]
fn pickles_one_after_the_other_are_all_seen() {
    let two = [&b"\x80\x04N."[..], &call("os", "system")].concat();
    blocked(&two, &["os.system"], "pickle.dangerous_global");
    verdict(b"\x80\x04N.\x80\x04N.", Verdict::Clean);
    verdict(b"\x80\x04N.\x00\x01\x02garbage", Verdict::Unknown);
}

#[test]
fn one_unpickler_may_load_all_pickles_of_a_file() {
    // Its memo stays from one to the next.
    blocked(b"\x80\x04\x8c\x02os\x94.\x80\x04h\x00\x8c\x06system\x93.", &["os.system"], "pickle.dangerous_global");
    // Where each pickle is whole by itself, the numbers of the memo are its own.
    verdict(b"\x80\x04\x8c\x02os\x940N.\x80\x04ccollections\nOrderedDict\n\x94)R.", Verdict::Clean);
}

#[test]
fn frames_that_are_crossed_are_read_in_both_ways() {
    // Readers that hold all bytes see a text over the border; readers of a file drop the rest of the frame.
    let mut bytes = b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00N0X\x08\x00".to_vec();
    bytes.extend(b"\x00\x00cos\nsystem\n)R.");
    blocked(&bytes, &[], "pickle.frame");
    let mut hidden = b"\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00N0\x8c\x0c".to_vec();
    hidden.extend(b"..cos\nsystem\n)RN.");
    // What is a text for one reader is a call for the other.
    blocked(&hidden, &[], "pickle.frame");
    // A frame in a frame, one that is longer than the file, and one that goes on behind `STOP`.
    let frame = |length: u8| [&[0x95, length][..], &[0; 7]].concat();
    blocked(&[b"\x80\x04", &frame(11)[..], &frame(2), b"N."].concat(), &[], "pickle.frame");
    blocked(&[b"\x80\x04", &frame(50)[..], b"N."].concat(), &[], "pickle.frame");
    blocked(&[b"\x80\x04", &frame(9)[..], b"N.NNNNNN.", b"cos\nsystem\n."].concat(), &["os.system"], "pickle.frame");
    verdict(&[b"\x80\x04", &frame(2)[..], b"N."].concat(), Verdict::Clean);
}

#[test]
fn computed_names_calls_and_targets_are_blocked() {
    blocked(b"\x80\x04cbuiltins\nstr\nC\x02os\x85R\x8c\x06system\x93.", &["builtins.str"], "pickle.computed_global");
    blocked(b"\x80\x04ccollections\nOrderedDict\n)R)R.", &[], "pickle.computed_call");
    blocked(b"\x80\x04ccollections\nOrderedDict\n}b.", &[], "pickle.build_target");
    blocked(b"\x80\x04ccollections\nOrderedDict\nNNs.", &[], "pickle.build_target");
    blocked(b"\x80\x02\x82\x01)R.", &[], "pickle.extension_code");
    blocked(b"\x80\x02\x84\x01\x00\x00\x00)R.", &[], "pickle.extension_code");
    verdict(b"\x80\x02Nq\x00Q.", Verdict::Unknown);
    verdict(b"P7\n.", Verdict::Unknown);
    verdict(b"\x80\x05\x97.", Verdict::Unknown);
}

#[test]
fn guarded_names_take_only_their_own_arguments() {
    verdict(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R.", Verdict::Clean);
    blocked(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00punyc\x86R.", &[], "pickle.misused_global");
    verdict(b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.", Verdict::Clean);
    blocked(b"ccopy_reg\n_reconstructor\n(S'x'\nc__builtin__\nobject\nNtR.", &[], "pickle.misused_global");
}

#[test]
fn boosters_are_made_empty_because_called_with_a_path_they_read_the_file() {
    const CALLS: [(&[u8], &[u8]); 5] = [
        (b"", b"NN\x8c\x06a.json\x87R."),
        (b"(", b"NN\x8c\x06a.jsono."),
        (b"", b")}\x8c\x0amodel_file\x8c\x06a.jsons\x92."),
        (b"cfunctools\npartial\n(", b"NN\x8c\x06a.jsontR."),
        // What is appended to an object calls its attribute of that name.
        (b"csklearn.dummy\nDummyClassifier\n)\x81}\x8c\x06append", b"sb\x8c\x06a.jsona."),
    ];
    for class in [&b"cxgboost.core\nBooster\n"[..], b"clightgbm.basic\nBooster\n"] {
        let with = |before: &[u8], after: &[u8]| [&b"\x80\x04"[..], before, class, after].concat();
        for (before, after) in CALLS {
            blocked(&with(before, after), &[], "pickle.misused_global");
        }
        verdict(&with(b"", b")\x81}\x8c\x06handleNsb."), Verdict::Clean);
        let old = [&b"ccopy_reg\n_reconstructor\n("[..], class, b"c__builtin__\nobject\nNtR(dS'handle'\nNsb."].concat();
        verdict(&old, Verdict::Clean);
    }
}

#[test]
fn pickles_in_values_are_looked_into() {
    let inner = call("os", "system");
    let wrap = |code: u8, bytes: &[u8]| [&[0x80, 4, code, bytes.len() as u8][..], bytes, b"."].concat();
    blocked(&wrap(b'C', &inner), &[], "pickle.nested_global");
    blocked(&wrap(b'C', b"cos\nsystem\n(S'x'\ntR."), &[], "pickle.nested_global");
    blocked(&wrap(0x8c, b"cos\nsystem\n(S'x'\ntR."), &[], "pickle.nested_global");
    let twice = wrap(b'C', &wrap(b'C', &inner));
    blocked(&twice, &[], "pickle.nested_global");
    verdict(&wrap(b'C', &wrap(b'C', b"harmless")), Verdict::Clean);
}

#[test]
fn uses_are_told_apart() {
    let report = scan(b"\x80\x04cnowhere.a\nb\n)\x81}b0cnowhere.a\nb\n)R0cnowhere.c\nd\n.");
    let uses: Vec<&[Use]> = report.globals.iter().map(|global| global.uses.as_slice()).collect();
    assert_eq!(uses, [&[Use::Referenced, Use::Instantiated, Use::StateSet, Use::Called][..], &[Use::Referenced][..]]);
}

#[test]
fn the_name_of_a_file_says_nothing() {
    let scanner = Scanner::new(Limits::default()).unwrap();
    for name in ["README.md", "x.json", "x.bin", "x", "x.txt"] {
        let report = scanner.scan(name, &b"cos\nsystem\n(S'true'\ntR.".to_vec()).unwrap();
        assert_eq!(report.verdict, Verdict::Blocked, "{name}");
    }
}

#[test]
fn long_streams_are_bounded() {
    // A million marks, a stack that only grows, a memo that jumps.
    let marks = [&b"\x80\x04"[..], &vec![b'('; 5 << 20], b"."].concat();
    verdict(&marks, Verdict::Blocked);
    verdict(&[&b"\x80\x04"[..], &vec![b'N'; 5 << 20], b"."].concat(), Verdict::Blocked);
    // A state whose many names are looked at again and again.
    let state = [&text("name")[..], b"N"].concat().repeat(60);
    let again = b"h\0h\x01b0".repeat(60_000);
    let class = b"\x80\x04cscipy.stats._continuous_distns\nnorm_gen\n)\x81\x940}(";
    let looked_at = [&class[..], &state, b"u\x940", &again, b"N."].concat();
    blocked(&looked_at, &[], "pickle.limit");
    let mut memo = b"\x80\x04N".to_vec();
    for index in 0..70_000_u32 {
        memo.push(b'r');
        memo.extend((index.wrapping_mul(60_000)).to_le_bytes());
    }
    verdict(&memo, Verdict::Blocked);
}

/// A protocol 4 pickle that sets the state of a distribution of SciPy's.
fn distribution(key: &str, value: &str) -> Vec<u8> {
    let long = [&[b'X'][..], &(value.len() as u32).to_le_bytes(), value.as_bytes()].concat();
    let class = b"\x80\x04cscipy.stats._continuous_distns\nnorm_gen\n)\x81}";
    [class.as_slice(), &text(key), &long, b"sb."].concat()
}

#[test]
fn distributions_may_execute_only_the_text_of_scipy() {
    let own = "\ndef _parse_args(self,  loc=0, scale=1):\n    return (), loc, scale\n\n\
        def _parse_args_rvs(self,  loc=0, scale=1, size=None):\n    return self._argcheck_rvs( loc, scale, size=size)\n\n\
        def _parse_args_stats(self,  loc=0, scale=1, moments='mv'):\n    return (), loc, scale, moments\n";
    verdict(&distribution("_parse_arg_template", own), Verdict::Clean);
    verdict(&distribution("name", "norm"), Verdict::Clean);
    blocked(&distribution("_parse_arg_template", "import os"), &[], "pickle.misused_global");
    blocked(&distribution("_attach_methods", "x"), &[], "pickle.misused_global");
    blocked(b"\x80\x04cscipy.stats._continuous_distns\nnorm_gen\nN\x85R.", &[], "pickle.misused_global");
    blocked(&distribution("_parse_arg_template", &format!("{own}import os\n")), &[], "pickle.misused_global");
    // Made by another function, which makes an object of what it is given; and a state that is not written in the file.
    let made = b"\x80\x04csklearn.neighbors._kd_tree\nnewObj\ncscipy.stats._continuous_distns\nnorm_gen\n\x85R}";
    let hidden = [&made[..], &text("_parse_arg_template"), &text("import os"), b"sb."].concat();
    blocked(&hidden, &[], "pickle.misused_global");
    blocked(
        b"\x80\x04cscipy.stats._continuous_distns\nnorm_gen\n)\x81ccollections\nOrderedDict\n)Rb.",
        &[],
        "pickle.misused_global",
    );
    // `getattr` of a distribution takes its own methods, of nothing else anything.
    let method =
        |class: &[u8], name: &str| [&b"\x80\x04cbuiltins\ngetattr\nc"[..], class, b"\n)\x81", &text(name), b"\x86R."].concat();
    verdict(&method(b"scipy.stats._discrete_distns\npoisson_gen", "_cdf_single"), Verdict::Clean);
    blocked(&method(b"scipy.stats._discrete_distns\npoisson_gen", "__class__"), &[], "pickle.misused_global");
    blocked(&method(b"collections\nOrderedDict", "_cdf_single"), &[], "pickle.misused_global");
}

#[test]
fn guarded_names_may_not_be_handed_on() {
    let misused =
        |parts: &[&[u8]]| blocked(&[b"\x80\x04", parts.concat().as_slice(), b"."].concat(), &[], "pickle.misused_global");
    let tree = b"csklearn.neighbors._kd_tree\nnewObj\n";
    verdict(&[&b"\x80\x04"[..], tree, b"csklearn.neighbors._kd_tree\nKDTree64\n\x85R."].concat(), Verdict::Clean);
    for guarded in [
        &b"cscipy.stats._continuous_distns\nnorm_gen\n"[..],
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
        b"ctorch.storage\n_load_from_bytes\n",
        b"cbuiltins\ngetattr\n",
        b"ccopyreg\n_reconstructor\n",
        b"cnumpy\ndtype\n",
        b"cnumpy.random._pickle\n__bit_generator_ctor\n",
    ] {
        // As arguments that are computed, in a list, in tuples, beyond the tuples that are remembered.
        misused(&[tree, b"cbuiltins\ntuple\n]", guarded, b"a\x85RR"]);
        misused(&[tree, b"ctorch\nSize\n](", guarded, b"e\x85RR"]);
        misused(&[tree, b"(", guarded, b"l\x85R"]);
        misused(&[tree, guarded, b"\x85\x85\x85R"]);
        let many = [b"(", b"N".repeat(600).as_slice()].concat();
        misused(&[&many, guarded, b"t"]);
        let long = [b"(", b"N".repeat(100).as_slice()].concat();
        misused(&[tree, &long, guarded, b"tR"]);
        // In a dictionary, a state, a set, arguments of others, by name; and as what the pickle stands for.
        misused(&[b"}N", guarded, b"s"]);
        misused(&[b"(", guarded, b"Nd"]);
        misused(&[b"ccollections\nOrderedDict\n)R", guarded, b"b"]);
        misused(&[b"\x8f(", guarded, b"\x90"]);
        misused(&[b"cfunctools\npartial\n", guarded, b"\x85R"]);
        misused(&[b"cfunctools\npartial\n", guarded, b"\x85}NNs\x92"]);
        misused(&[guarded]);
    }
    // A tuple that is called once and put elsewhere.
    let class = b"cscipy.stats._continuous_distns\nnorm_gen\ncbuiltins\nobject\nN\x87\x94";
    verdict(&[&b"\x80\x04ccopyreg\n_reconstructor\n"[..], class, b"R."].concat(), Verdict::Clean);
    misused(&[b"ccopyreg\n_reconstructor\n", class, b"R0]h\0a"]);
}

#[test]
fn arrays_are_not_made_over_bytes_that_stand_for_objects() {
    let object = b"cnumpy\ndtype\n\x8c\x02O8\x89\x88\x87R";
    let made = |callee: &[u8]| [&b"\x80\x04"[..], callee, b"K\x01\x85", object, b"C\x08AAAAAAAA\x87R."].concat();
    for class in ["numpy\nndarray", "numpy\nrecarray", "numpy\nmatrix", "numpy.ma\nMaskedArray"] {
        blocked(&made(format!("c{class}\n").as_bytes()), &[], "pickle.misused_global");
    }
    let other = |maker: &[u8]| [&b"\x80\x04"[..], maker, b"cnumpy\nndarray\n}\x86R."].concat();
    blocked(&other(b"cpandas.core.indexes.base\n_new_Index\n"), &[], "pickle.misused_global");
    blocked(&other(b"ccopyreg\n__newobj__\n"), &[], "pickle.misused_global");
    verdict(b"\x80\x04cpandas.core.indexes.base\n_new_Index\ncpandas\nIndex\n}\x86R.", Verdict::Clean);
    verdict(b"\x80\x04cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R.", Verdict::Clean);
}

#[test]
fn methods_that_only_compute_may_be_looked_up_and_not_called() {
    let method = |class: &str, name: &str, rest: &[u8]| {
        [&b"\x80\x04cbuiltins\ngetattr\nc"[..], class.as_bytes(), b"\n", &text(name), b"\x86R", rest, b"."].concat()
    };
    verdict(&method("builtins\nstr", "split", b""), Verdict::Clean);
    verdict(b"\x80\x04cbuiltins\nstr.split\n.", Verdict::Clean);
    verdict(b"c__builtin__\ngetattr\n(c__builtin__\nunicode\nVsplit\ntR.", Verdict::Clean);
    blocked(&method("builtins\nstr", "format", b""), &[], "pickle.misused_global");
    blocked(&method("builtins\nstr", "split", b"\x8c\x01a\x85R"), &[], "pickle.computed_call");
    blocked(b"\x80\x04cbuiltins\nstr.split\n\x8c\x01a\x85R.", &[], "pickle.misused_global");
    blocked(b"\x80\x04cbuiltins\nstr.format\n.", &[], "pickle.unknown_global");
    verdict(b"\x80\x04cscipy.stats._discrete_distns\nrandint_gen._entropy\n.", Verdict::Clean);
    blocked(b"\x80\x04cscipy.stats._discrete_distns\nrandint_gen.__init__\n.", &[], "pickle.unknown_global");
    let expression = b"\x80\x04cbuiltins\ngetattr\ncre\n_compile\n\x8c\x01aK\x20\x86R";
    verdict(&[&expression[..], &text("findall"), b"\x86R."].concat(), Verdict::Clean);
    blocked(&[&expression[..], &text("__class__"), b"\x86R."].concat(), &[], "pickle.misused_global");
}

#[test]
fn time_zones_are_found_by_their_names_only() {
    let zone = |maker: &str, key: &str| {
        let found = [&b"\x80\x04cbuiltins\ngetattr\nczoneinfo\nZoneInfo\n"[..], &text(maker), b"\x86R"].concat();
        [found.as_slice(), &text(key), b"K\x01\x86R."].concat()
    };
    verdict(&zone("_unpickle", "America/Port-au-Prince"), Verdict::Clean);
    verdict(&zone("_unpickle", "Etc/GMT+5"), Verdict::Clean);
    blocked(&zone("_unpickle", "../../etc/passwd"), &[], "pickle.computed_call");
    blocked(&zone("_unpickle", "/etc/passwd"), &[], "pickle.computed_call");
    blocked(&zone("from_file", "Europe/Berlin"), &[], "pickle.misused_global");
    let computed = b"\x80\x04cbuiltins\ngetattr\nczoneinfo\nZoneInfo\n\x8c\x09_unpickle\x86R](eK\x01\x86R.";
    blocked(computed, &[], "pickle.computed_call");
}

#[test]
fn classes_that_may_only_be_made_empty_are() {
    let model = b"\x80\x04cstatsmodels.regression.linear_model\nOLS\n";
    verdict(&[&model[..], b")\x81}\x8c\x01xNsb."].concat(), Verdict::Clean);
    blocked(&[&model[..], b"N\x85\x81."].concat(), &[], "pickle.misused_global");
    blocked(&[&model[..], b")\x81N}\x86b."].concat(), &[], "pickle.misused_global");
    let data = |state: &[u8]| [&b"\x80\x04cstatsmodels.base.data\nPandasData\n)\x81"[..], state, b"b."].concat();
    verdict(&data(&[b"}", &text("frame")[..], b"Ns"].concat()), Verdict::Clean);
    for key in ["restore_model_spec", "restore_design_info"] {
        blocked(&data(&[b"}", &text(key)[..], b"\x88s"].concat()), &[], "pickle.misused_global");
    }
    blocked(&data(b"ccollections\nOrderedDict\n)R"), &[], "pickle.misused_global");
    // The base of what a pickle of protocol 0 makes is a class of Python's own.
    let old = |base: &str| [&b"ccopyreg\n_reconstructor\n(cuuid\nUUID\nc"[..], base.as_bytes(), b"\nNtR."].concat();
    verdict(&old("builtins\nobject"), Verdict::Clean);
    blocked(&old("pandas\nIndex"), &[], "pickle.misused_global");
    verdict(b"\x80\x04cpathlib\nPosixPath\n\x8c\x01a\x8c\x01b\x86R.", Verdict::Clean);
    blocked(b"\x80\x04cpathlib\nPosixPath\nN\x85R.", &[], "pickle.misused_global");
    verdict(b"\x80\x04cbuiltins\ntype\nN\x85R.", Verdict::Clean);
    blocked(b"\x80\x04cbuiltins\ntype\n]\x85R.", &[], "pickle.misused_global");
}

#[test]
fn cloudpickle_looks_up_two_types_only() {
    let looked_up = |name: &str, rest: &[u8]| {
        [&b"\x80\x04ccloudpickle.cloudpickle\n_builtin_type\n"[..], &text(name), b"\x85R", rest, b"."].concat()
    };
    verdict(&looked_up("SimpleNamespace", b")R}\x8c\x01xNsb"), Verdict::Clean);
    verdict(&looked_up("MethodType", b"cscipy.stats._discrete_distns\nrandint_gen._entropy\n]\x86R"), Verdict::Clean);
    blocked(&looked_up("MethodType", b"cbuiltins\ngetattr\n]\x86R"), &[], "pickle.computed_call");
    blocked(&looked_up("MethodType", b"cnumpy\nmean\n]\x86R}b"), &[], "pickle.build_target");
    blocked(&looked_up("CodeType", b""), &[], "pickle.misused_global");
}

#[test]
fn makers_of_random_numbers_take_only_kinds_of_their_own() {
    let maker = b"\x80\x04cnumpy.random._pickle\n__randomstate_ctor\n\x8c\x07MT19937";
    let inner = b"cnumpy.random._pickle\n__bit_generator_ctor\n";
    verdict(&[&maker[..], b"\x85R."].concat(), Verdict::Clean);
    verdict(&[&maker[..], inner, b"\x86R."].concat(), Verdict::Clean);
    let generator = b"\x80\x04cnumpy.random._pickle\n__generator_ctor\n";
    verdict(&[&generator[..], inner, b"cnumpy.random._pcg64\nPCG64\n\x85R\x85R."].concat(), Verdict::Clean);
    blocked(&[&maker[..], b"cbuiltins\nlist\n\x86R."].concat(), &[], "pickle.misused_global");
    blocked(&[&generator[..], b"ccollections\nOrderedDict\n\x85R."].concat(), &[], "pickle.misused_global");
    blocked(&[&generator[..], inner, b"\x85R."].concat(), &[], "pickle.misused_global");
}

#[test]
fn torch_files_in_values_are_scanned_as_files() {
    let load = |argument: &[u8]| [&b"\x80\x04ctorch.storage\n_load_from_bytes\n"[..], argument, b"\x85R."].concat();
    let bytes = |inner: &[u8]| load(&[&[b'B'][..], &(inner.len() as u32).to_le_bytes(), inner].concat());
    blocked(&bytes(&call("os", "system")), &["os.system"], "pickle.dangerous_global");
    verdict(&bytes(b"\x80\x04]."), Verdict::Clean);
    verdict(&bytes(b"nothing known"), Verdict::Unknown);
    blocked(&load(b"\x8c\x04true"), &[], "pickle.misused_global");
    blocked(&load(b"ccollections\nOrderedDict\n)R"), &[], "pickle.misused_global");
}

/// torch's file before 1.6: the magic number, the protocol, facts, an object with one storage, the keys, the bytes.
fn legacy_torch(storage: &[u8], tail: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let object = [&b"\x80\x02(X\x07\0\0\0storage"[..], storage, b"X\x01\0\0\x000X\x03\0\0\0cpuK\x02NtQ."].concat();
    [&magic[..], b"\x80\x02M\xe9\x03.", b"\x80\x02}.", &object, b"\x80\x02]X\x01\0\0\x000a.", tail].concat()
}

#[test]
fn old_torch_files_end_with_their_storages() {
    let float = b"ctorch\nFloatStorage\n";
    verdict(&legacy_torch(float, &[0; 16]), Verdict::Clean);
    verdict(&legacy_torch(float, &[0; 17]), Verdict::Unknown);
    verdict(&legacy_torch(float, &[0; 15]), Verdict::Unknown);
    blocked(&legacy_torch(b"cos\nsystem\n", &[0; 16]), &["os.system"], "pickle.dangerous_global");
    verdict(&legacy_torch(b"X\x01\0\0\0x", &[0; 16]), Verdict::Unknown);
}
