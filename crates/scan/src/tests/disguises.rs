//! Files that pass for something harmless: two formats at once, names that excuse what they hold, odd spellings.

use super::*;

const LAMBDA: &[u8] = br#"{"class_name":"Lambda","config":{}}"#;

/// HDF5 as h5py writes it: a root with attributes that are texts of a fixed length, behind a user block of `base` bytes.
fn hdf5(base: u64, attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let mut messages = Vec::new();
    for (name, value) in attributes {
        let mut body = vec![1, 0];
        for size in [name.len() + 1, 8, 8] {
            body.extend((size as u16).to_le_bytes());
        }
        body.extend(name.as_bytes());
        body.resize(8 + (name.len() + 1).next_multiple_of(8), 0);
        body.extend([0x13, 0, 0, 0]);
        body.extend((value.len() as u32).to_le_bytes());
        body.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        body.extend(*value);
        body.resize(body.len().next_multiple_of(8), 0);
        messages.extend([0x0c, 0]);
        messages.extend((body.len() as u16).to_le_bytes());
        messages.extend([0; 4]);
        messages.extend(body);
    }
    let mut file = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
    let end = base + 96 + 16 + messages.len() as u64;
    for number in [base, u64::MAX, end, u64::MAX, 0, 96, 0, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend([1, 0, attributes.len() as u8, 0, 1, 0, 0, 0]);
    file.extend((messages.len() as u64).to_le_bytes());
    file.extend(messages);
    file
}

fn behind(start: &[u8], bytes: u64, inner: &[u8]) -> Vec<u8> {
    let mut file = start.to_vec();
    file.resize(bytes as usize, 0);
    file.extend(inner);
    file
}

#[test]
fn hdf5_is_found_wherever_its_readers_find_it() {
    check("a.h5", &hdf5(0, &[("backend", b"tensorflow")]), Verdict::Clean, "");
    check("a.h5", &hdf5(0, &[("model_config", LAMBDA)]), Verdict::Blocked, "keras.unsafe_layer");
    for base in [512, 1024, 4096] {
        let inner = hdf5(base, &[("model_config", LAMBDA)]);
        check("a.h5", &behind(b"", base, &inner), Verdict::Blocked, "keras.unsafe_layer");
        // The same bytes in an array, and in a pickle's value.
        let count = 512 - 10 - 70 + inner.len() as u64;
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}");
        let array = [b"\x93NUMPY\x01\0\x46\0", format!("{header:<70}").as_bytes()].concat();
        let whole = behind(&array, 512, &inner);
        check("a.npy", &whole, Verdict::Blocked, if base == 512 { "file.polyglot" } else { "" });
        let value = base - 7 + inner.len() as u64;
        let pickle = [b"\x80\x04B", &(value as u32).to_le_bytes()[..]].concat();
        check("a.pkl", &[&behind(&pickle, base, &inner)[..], b"."].concat(), Verdict::Blocked, "file.polyglot");
    }
    // As a member of an archive it is what it is.
    let plain = hdf5(0, &[("backend", b"tensorflow")]);
    check("a.tar", &tar("a.h5", b'0', &plain), Verdict::Clean, "");
    check("a.tar", &tar("a.h5", b'0', &hdf5(0, &[("model_config", LAMBDA)])), Verdict::Blocked, "keras.unsafe_layer");
}

#[test]
fn losses_and_metrics_of_hdf5_are_of_keras_own() {
    let training = |loss: &str| scan("a.h5", &hdf5(0, &[("training_config", format!("{{\"loss\":{loss}}}").as_bytes())])).verdict;
    let function = |module: &str, name: &str| {
        format!(r#"{{"module":"{module}","class_name":"function","config":"{name}","registered_name":"function"}}"#)
    };
    assert_eq!(training(&function("os", "system")), Verdict::Blocked);
    assert_eq!(training(&format!("[{}]", function("builtins", "exec"))), Verdict::Blocked);
    assert_eq!(training(&function("keras.losses", "mean_squared_error")), Verdict::Clean);
    assert_eq!(training(r#"{"class_name":"Mine","config":{}}"#), Verdict::Clean);
    assert_eq!(training(r#""mse""#), Verdict::Clean);
    assert_eq!(training("NaN"), Verdict::Unknown);
}

#[test]
fn texts_of_hdf5_are_followed_as_pickles() {
    check("a.h5", &hdf5(0, &[("TITLE", SYSTEM)]), Verdict::Blocked, "pickle.dangerous_global");
    check("a.h5", &hdf5(0, &[("PSEUDOATOM", b"object")]), Verdict::Unknown, "hdf5.unread");
    check("a.h5", &hdf5(0, &[("PSEUDOATOM", b"vlstring"), ("TITLE", b"a title.")]), Verdict::Clean, "");
    for length in 96..hdf5(0, &[("TITLE", SYSTEM)]).len() {
        assert!(scan("a.h5", &hdf5(0, &[("TITLE", SYSTEM)])[..length]).verdict != Verdict::Clean, "cut at {length}");
    }
}

#[test]
fn old_tars_are_tars_whatever_their_first_name() {
    let old = |name: &str| {
        let mut file = tar(name, b'0', SYSTEM);
        file[257..263].fill(0);
        let sum: u32 =
            file[..512].iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
        file[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        file
    };
    check("a.tar", &old("a.pkl"), Verdict::Blocked, "pickle.dangerous_global");
    check("a.cbm", &old("CBM1AAAA"), Verdict::Blocked, "file.polyglot");
    // Lenient readers take a number in other spellings.
    let mut odd = old("a.pkl");
    let digits: Vec<u8> = odd[149..154].to_vec();
    odd[148..150].copy_from_slice(b"0o");
    odd[150..155].copy_from_slice(&digits);
    check("a.tar", &odd, Verdict::Blocked, "archive.checksum");
}

#[test]
fn odd_types_of_arrays_are_not_taken() {
    for descriptor in ["[('a', 'object')]", r"'|\x4f'", r"[('a', '|\x4f')]", "'O,i4'"] {
        check("a.npy", &npy(descriptor, SYSTEM), Verdict::Blocked, "numpy.header");
    }
    check("a.npy", &npy("[('a', '<f8'), ('b', '|O')]", SYSTEM), Verdict::Blocked, "pickle.dangerous_global");
    check("a.npy", &npy("[('a', '<f8'), ('b', '|S2')]", &[0; 20]), Verdict::Clean, "");
    check("a.npy", &npy("[('a', '<f8'), ('b', '|S2')]", &[0; 21]), Verdict::Blocked, "file.malformed");
}

#[test]
fn catboost_models_have_a_core_and_no_tail() {
    let model = |core: &[u8], tail: &[u8]| [b"CBM1", &(core.len() as u32).to_le_bytes()[..], core, tail].concat();
    let core = b"\x04\0\0\0FlabuffersModel_v1\0";
    check("a.cbm", &model(core, b""), Verdict::Clean, "");
    check("a.cbm", &model(core, b"x"), Verdict::Blocked, "file.malformed");
    check("a.cbm", &model(&[&core[..], b"static_provider_v1"].concat(), b"x"), Verdict::Clean, "");
    check("a.cbm", &model(&[0; 4], b""), Verdict::Blocked, "file.malformed");
}

#[test]
fn no_key_of_json_excuses_another() {
    for key in ["tree_info", "oblivious_trees", "model_info", "version\":1,\"learner"] {
        let lambda = format!(r#"{{"{key}":1,"class_name":"Lambda"}}"#);
        check("a.json", lambda.as_bytes(), Verdict::Blocked, "keras.unsafe_layer");
        check("a.keras", &zip(&[("config.json", lambda.as_bytes())]), Verdict::Blocked, "keras.unsafe_layer");
    }
    check("config.json", br#"{"a":{"_target_":"os.system"}}"#, Verdict::Blocked, "config.module");
    check("config.yaml", b"a:\n- _target_: os.system\n", Verdict::Blocked, "config.module");
    check("config.yaml", b"_target_: nemo.collections.asr.models.Model\n", Verdict::Unknown, "file.code");
    check("a.nemo", &tar("model_config.yaml", b'0', b"_target_: os.system\n"), Verdict::Blocked, "config.module");
    check("modules.json", br#"[{"idx":0,"name":"0","path":"","type":"os.Evil"}]"#, Verdict::Blocked, "config.module");
    let own = br#"[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"}]"#;
    check("modules.json", own, Verdict::Clean, "");
    check("config.json", br#"{"activation_function":"os.abort"}"#, Verdict::Blocked, "config.module");
    check("config.json", br#"{"activation_function":"gelu_new"}"#, Verdict::Clean, "");
}

#[test]
fn what_a_configuration_has_called_is_judged_by_its_name() {
    for (text, wanted, rule) in [
        ("a: {target: os.system, params: {command: id}}", Verdict::Blocked, "config.module"),
        ("model: {target: ldm.models.diffusion.ddpm.LatentDiffusion, params: {}}", Verdict::Unknown, "file.code"),
        ("model: {class_path: subprocess.run, init_args: {args: id}}", Verdict::Blocked, "config.module"),
        ("model: {class_path: lightning.pytorch.demos.boring_classes.BoringModel}", Verdict::Unknown, "file.code"),
        // A column, and a measure: words, and no names of a module's.
        ("{target: churned, params: {depth: 3}}", Verdict::Clean, ""),
        ("{target: data.churned, metric: auc}", Verdict::Clean, ""),
        ("{target: '0.95', params: {}}", Verdict::Clean, ""),
    ] {
        check("config.yaml", text.as_bytes(), wanted, rule);
    }
    check("config.json", br#"{"attn_implementation":"someone/kernel"}"#, Verdict::Unknown, "file.code");
    check("config.json", br#"{"_attn_implementation":"sdpa"}"#, Verdict::Clean, "");
    let pipeline = |part: &str| format!(r#"{{"_class_name":"StableDiffusionPipeline","unet":["diffusers","X"],"a":{part}}}"#);
    check("m/model_index.json", pipeline("[null,null]").as_bytes(), Verdict::Clean, "");
    check("m/model_index.json", pipeline(r#"["transformers","CLIPTextModel"]"#).as_bytes(), Verdict::Clean, "");
    check("m/model_index.json", pipeline(r#"["os","system"]"#).as_bytes(), Verdict::Unknown, "file.code");
    check("m/model_index.json", br#"{"_class_name":["pipeline","Own"]}"#, Verdict::Unknown, "file.code");
    check("unet/config.json", br#"{"_class_name":"UNet2DModel","down_block_types":["A2D","B2D"]}"#, Verdict::Clean, "");
}

#[test]
fn configurations_name_no_files_and_modules_elsewhere() {
    let index = |file: &str| format!(r#"{{"metadata":{{}},"weight_map":{{"a":"x-1.safetensors","b":"{file}"}}}}"#);
    for (file, wanted) in [
        ("x-2.safetensors", Verdict::Clean),
        ("part/x-2.bin", Verdict::Clean),
        ("../x.bin", Verdict::Blocked),
        ("/tmp/x.bin", Verdict::Blocked),
    ] {
        let rule = if wanted == Verdict::Clean { "" } else { "config.weights_path" };
        check("model.safetensors.index.json", index(file).as_bytes(), wanted, rule);
    }
    let adapter = |library: &str| format!(r#"{{"auto_mapping":{{"base_model_class":"Base","parent_library":{library}}}}}"#);
    check("adapter_config.json", adapter(r#""transformers.models.bert.modeling_bert""#).as_bytes(), Verdict::Clean, "");
    check("adapter_config.json", adapter("null").as_bytes(), Verdict::Clean, "");
    check("adapter_config.json", adapter(r#""mine.models""#).as_bytes(), Verdict::Unknown, "file.code");
}

#[test]
fn keras_reads_no_files_and_knows_its_own_values() {
    let lookup = |vocabulary: &str| format!(r#"{{"class_name":"StringLookup","config":{{"vocabulary":{vocabulary}}}}}"#);
    check("a.json", lookup(r#""/etc/passwd""#).as_bytes(), Verdict::Blocked, "keras.unsafe_layer");
    check("a.json", lookup(r#"["a","b"]"#).as_bytes(), Verdict::Clean, "");
    check("a.json", br#"{"class_name":"__keras_tensor__","config":{"shape":[null,2],"dtype":"float32"}}"#, Verdict::Clean, "");
    let operation = |module: &str, name: &str| format!(r#"{{"module":"keras.src.ops.{module}","class_name":"{name}"}}"#);
    check("a.json", operation("numpy", "Multiply").as_bytes(), Verdict::Clean, "");
    check("a.json", operation("core", "Map").as_bytes(), Verdict::Blocked, "keras.module");
}

fn flavors(text: &str) -> Vec<u8> {
    format!("flavors:\n  python_function:\n    loader_module: mlflow.xgboost\n  xgboost:\n    {text}\n").into_bytes()
}

#[test]
fn mlflow_imports_only_what_is_known() {
    check("MLmodel", &flavors("model_class: xgboost.sklearn.XGBClassifier"), Verdict::Clean, "");
    check("MLmodel", &flavors("model_class: any.callable"), Verdict::Blocked, "mlmodel.loader");
    check("MLmodel", &flavors("keras_module: os"), Verdict::Blocked, "mlmodel.loader");
    // YAML can be written as JSON.
    let json = br#"{"flavors":{"python_function":{"loader_module":"os"}}}"#;
    check("MLmodel", json, Verdict::Blocked, "mlmodel.loader");
    check("conda.yaml", br#"{"dependencies":[{"pip":["git+x"]}]}"#, Verdict::Blocked, "environment.source");
    check("m/data/keras_module.txt", b"tensorflow.keras", Verdict::Clean, "");
    check("m/data/keras_module.txt", b"antigravity", Verdict::Blocked, "mlmodel.loader");
    check("m/data/pickle_module_info.txt", b"mlflow.pytorch.pickle_module", Verdict::Clean, "");
    check("m/data/pickle_module_info.txt", b"antigravity", Verdict::Blocked, "mlmodel.loader");
    for out in ["python_model: /tmp/a.pkl", "artifacts: {a: {path: ../../b, uri: x}}", "data: 's3://x/y'", "data: 'a\\..\\..\\b'"]
    {
        check("MLmodel", &flavors(out), Verdict::Blocked, "mlmodel.loader");
    }
    check("MLmodel", &flavors("artifacts: {a: {path: artifacts/b, uri: /home/b}}"), Verdict::Clean, "");
    check("MLmodel", &flavors("env: {conda: conda.yaml, virtualenv: python_env.yaml}"), Verdict::Clean, "");
    check("MLmodel", &flavors("env: {conda: my.md}"), Verdict::Unknown, "environment.unread");
    check("my.yaml", b"channels:\n- https://example.org/c\ndependencies:\n- pip\n", Verdict::Blocked, "environment.index_option");
    check("model.yaml", b"channels: [32, 64]\nvariables: {a: 1}\n", Verdict::Clean, "");
}

#[test]
fn a_function_of_onnx_excuses_only_itself() {
    let call = |operator: &str| {
        let node = [field(4, operator.as_bytes()), field(7, b"mine")].concat();
        let function = [field(1, b"Own"), field(10, b"mine")].concat();
        // The number of the field takes two bytes.
        let function = [&[0xca, 0x01, function.len() as u8][..], &function].concat();
        [b"\x08\x08".to_vec(), field(7, &field(1, &node)), function].concat()
    };
    check("a.onnx", &call("Own"), Verdict::Clean, "");
    check("a.onnx", &call("Other"), Verdict::Unknown, "onnx.custom_domain");
}

#[test]
fn only_tensors_are_tensor_bytes() {
    let scanner = Scanner::new(Limits::default()).unwrap();
    let model = |location: &str, length: &str| {
        let pair = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
        let tensor = [pair("location", location), pair("length", length)].concat();
        [b"\x08\x08".to_vec(), field(7, &field(5, &tensor))].concat()
    };
    let judge = |name: &str, bytes: Vec<u8>, length: &str| {
        let names = BTreeSet::from(["a.onnx".to_owned(), name.to_owned()]);
        let files = [("a.onnx", model(name, length)), (name, bytes)];
        let reports = files.into_iter().map(|(name, bytes)| scanner.scan_among(name, &bytes, &names).unwrap()).collect();
        scanner.report(reports).verdict
    };
    assert_eq!(judge("w.bin", vec![1; 8], "8"), Verdict::Clean);
    assert_eq!(judge("w.bin", vec![1; 8 << 10], "8"), Verdict::Unknown, "bytes that no tensor covers");
    assert_eq!(judge("w.bin", [b"\x7fELF", &[1; 8][..]].concat(), "12"), Verdict::Unknown, "a program");
    assert_eq!(judge("w.so.1", vec![1; 8], "8"), Verdict::Unknown, "a library by its name");
    assert_ne!(judge("w.h5", behind(b"", 512, &hdf5(512, &[])), "640"), Verdict::Clean, "another format");
}

/// A node with a name, an operator, inputs, and perhaps a function that it calls.
fn node(name: &str, operator: &str, inputs: &[&str], function: &str) -> Vec<u8> {
    let mut node = [field(1, name.as_bytes()), field(2, operator.as_bytes())].concat();
    inputs.iter().for_each(|input| node.extend(field(3, input.as_bytes())));
    if !function.is_empty() {
        let value = field(10, &field(1, function.as_bytes()));
        node.extend(field(5, &[field(1, b"f"), field(2, &value)].concat()));
    }
    node
}

fn meta_graph(nodes: &[Vec<u8>], functions: &[(&str, Vec<u8>)], more: &[u8]) -> Vec<u8> {
    let mut graph: Vec<u8> = nodes.iter().flat_map(|node| field(1, node)).collect();
    for (name, node) in functions {
        graph.extend(field(2, &field(1, &[field(1, &field(1, name.as_bytes())), field(3, node)].concat())));
    }
    let graph = [&[0x12, (graph.len() & 0x7f | 0x80) as u8, (graph.len() >> 7) as u8][..], &graph].concat();
    let meta = [&graph, more].concat();
    [&[0x12, (meta.len() & 0x7f | 0x80) as u8, (meta.len() >> 7) as u8][..], &meta].concat()
}

#[test]
fn no_function_excuses_an_operator() {
    let version = b"\x08\x01".to_vec();
    let write = meta_graph(&[node("a", "WriteFile", &[], "")], &[("WriteFile", node("b", "Const", &[], ""))], b"");
    check("saved_model.pb", &[version.clone(), write].concat(), Verdict::Blocked, "tensorflow.operator");
    let own = meta_graph(&[node("a", "__inner_1", &[], "")], &[("__inner_1", node("b", "Const", &[], ""))], b"");
    check("saved_model.pb", &[version.clone(), own.clone()].concat(), Verdict::Clean, "");
    let other = meta_graph(&[node("a", "__inner_1", &[], "")], &[], b"");
    check("saved_model.pb", &[version.clone(), own, other].concat(), Verdict::Unknown, "tensorflow.unknown_operator");
    let named = meta_graph(&[node("a", "Evil", &[], "")], &[("Evil", node("b", "Const", &[], ""))], b"");
    check("saved_model.pb", &[version, named].concat(), Verdict::Unknown, "tensorflow.unknown_operator");
}

#[test]
fn only_the_saver_writes_checkpoints() {
    let saver = field(3, &[field(1, b"name:0"), field(2, b"save:0"), field(3, b"restore")].concat());
    let signature =
        |output: &str| field(5, &[field(1, b"s"), field(2, &field(2, &field(2, &field(1, output.as_bytes()))))].concat());
    let objects = |function: &str| field(7, &field(2, &field(1, function.as_bytes())));
    let nodes = [
        node("name", "Placeholder", &[], ""),
        node("save", "StatefulPartitionedCall", &["name"], "__traced_save"),
        node("y", "Identity", &["name"], ""),
        node("z", "Identity", &["^save"], ""),
    ];
    let function = |name: &'static str| (name, node("w", "SaveV2", &["prefix"], ""));
    let judge = |functions: &[(&str, Vec<u8>)], more: &[Vec<u8>], wanted| {
        let file = [b"\x08\x01".to_vec(), meta_graph(&nodes, functions, &more.concat())].concat();
        check("saved_model.pb", &file, wanted, if wanted == Verdict::Blocked { "tensorflow.operator" } else { "" });
    };
    let saving = [function("__traced_save")];
    judge(&saving, &[saver.clone(), signature("y:0"), objects("__serve")], Verdict::Clean);
    judge(&saving, &[signature("y:0")], Verdict::Blocked);
    judge(&saving, &[saver.clone(), signature("z:0")], Verdict::Blocked);
    judge(&saving, &[saver.clone(), objects("__traced_save")], Verdict::Blocked);
    let hidden = [function("__traced_save"), ("__serve", node("w", "PartitionedCall", &[], "__traced_save"))];
    judge(&hidden, &[saver, objects("__serve")], Verdict::Blocked);
}

#[test]
fn what_stands_beside_a_saved_model_is_what_it_should_be() {
    let scanner = Scanner::new(Limits::default()).unwrap();
    let names = BTreeSet::from(["m/saved_model.pb".to_owned()]);
    let judge = |name: &str, bytes: &[u8]| scanner.scan_among(name, &bytes.to_vec(), &names).unwrap().verdict;
    assert_eq!(judge("m/variables/variables.data-00000-of-00001", &[1, 2, 3]), Verdict::Clean);
    assert_eq!(judge("m/variables/variables.data-evil.so", &[1, 2, 3]), Verdict::Unknown);
    assert_eq!(judge("m/variables/variables.data-00000-of-00001", b"\x7fELF\x01"), Verdict::Unknown);
    assert_eq!(judge("m/fingerprint.pb", b"\x08\x01\x10\x02\x32\x02\x08\x01"), Verdict::Clean);
    assert_eq!(judge("m/fingerprint.pb", b"\x08\x01\x62\x01\x01"), Verdict::Unknown);
}
