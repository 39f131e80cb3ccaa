//! Valid examples of each format, small, made here.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The name of a file and its bytes.
pub type Seed = (&'static str, Vec<u8>);

const LIGHTGBM: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\nobjective=binary sigmoid:1\n\
    feature_names=a b\nfeature_infos=[0:1] none\n\nTree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nsplit_gain=1 2\nthreshold=0.5 0\n\
    decision_type=2 1\nleft_child=-1 -2\nright_child=1 -3\nleaf_value=1 2 3\ncat_boundaries=0 1\ncat_threshold=5\nis_linear=0\n\nend of trees\n";
const XGBOOST: &str = r#"{"learner":{"attributes":{},"feature_names":[],"feature_types":[],"gradient_booster":{"name":"gbtree","model":{
    "gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"iteration_indptr":[0,1],"tree_info":[0],"trees":[{"base_weights":[0.0,1.0,-1.0],
    "categories":[],"categories_nodes":[],"categories_segments":[],"categories_sizes":[],"default_left":[1,0,0],"id":0,
    "left_children":[1,-1,-1],"loss_changes":[1.0,0.0,0.0],"parents":[2147483647,0,0],"right_children":[2,-1,-1],
    "split_conditions":[0.5,1.0,-1.0],"split_indices":[0,0,0],"split_type":[0,0,0],"sum_hessian":[2.0,1.0,1.0],
    "tree_param":{"num_deleted":"0","num_feature":"2","num_nodes":"3","size_leaf_vector":"1"}}]}},
    "learner_model_param":{"base_score":"[5E-1]","boost_from_average":"1","num_class":"0","num_feature":"2","num_target":"1"},
    "objective":{"name":"binary:logistic","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[3,0,0]}"#;
const SKOPS: &str = r#"{"__class__":"StandardScaler","__module__":"sklearn.preprocessing._data","__loader__":"ObjectNode","content":{"__class__":"dict",
    "__module__":"builtins","__loader__":"DictNode","key_types":{"__class__":"list","__module__":"builtins","__loader__":"ListNode",
    "content":[{"__class__":"type","__module__":"builtins","__loader__":"TypeNode","content":{"__class__":"str","__module__":"builtins"}}],"__id__":3},
    "content":{"with_mean":{"__class__":"str","__module__":"builtins","__loader__":"JsonNode","content":"true"},
    "mean_":{"__class__":"ndarray","__module__":"numpy","__loader__":"NdArrayNode","type":"numpy","file":"1.npy"}},"__id__":2},"protocol":2,
    "_skops_version":"0.13.0"}"#;
const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nname: n\nversion: 1.0.0\nstatus: active\nservers:\n- {server: s, type: local, path: a, format: csv}\n\
    schema:\n- name: t\n  physicalType: table\n  quality:\n  - {metric: rowCount, mustBeGreaterThan: 10}\n  - {type: sql, query: 'SELECT COUNT(*) FROM t', mustBe: 0}\n\
  properties:\n  - name: id\n    logicalType: integer\n    required: true\n    unique: true\n    logicalTypeOptions: {minimum: 0, maximum: 9}\n\
  - name: mail\n    logicalType: string\n    logicalTypeOptions: {pattern: '^[a-z]+@x$', minLength: 2}\n    quality:\n\
    - {metric: invalidValues, mustBe: 0, arguments: {validValues: [a, b]}}\n    relationships:\n    - {to: other.id, type: foreignKey}\n\
slaProperties:\n- {property: freshness, value: 24, unit: h, element: t.id}\n";
const GATES: &str = "version: 1\ndata: [a@1, b@2]\nlabel: y\nconfidence: 0.9\nresamples: 500\nseed: 3\nrules:\n- {metric: accuracy, min: 0.8, max_worse: 0.01}\n\
    - {metric: log_loss, max: 0.5, proof: estimate}\nslices:\n  columns:\n  - {column: c, values: [no, SE]}\n  - {column: age, ranges: [{below: 30}, {from: 30}]}\n\
  min_rows: 40\n  rules:\n  - {metric: accuracy, max_worse: 0.02}\nmcnemar: {alpha: 0.01}\nlatency: {quantile: 0.95, max_ms: 20}\nsize: {max_bytes: 1000}\n\
golden: {data: g@1, expect: said, tolerance: 0.001, max_changed: 1}\nattacks: {run: [evasion], refuse: [evasion], seed: 5, evasion: {rows: 7}}\n";
const TORCH: &[u8] = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
    X\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRu.";
const PICKLE: &[u8] = b"\x80\x04\x95\x30\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94(K\x02G?\xf0\0\0\0\0\0\0e\x8c\x01c\x94C\x03abc\x94\x8c\x05numpy\x94\
    \x8c\x05dtype\x94\x93\x94\x8c\x02f8\x94\x89\x88\x87\x94R\x94u.";

/// A zip of stored members.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut central) = (Vec::new(), Vec::new());
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let half = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
    for (name, content) in members {
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for part in [checksum.sum().to_le_bytes(), word(content.len()), word(content.len())] {
            common.extend(part);
        }
        common.extend(half(name.len()));
        common.extend([0, 0]);
        let offset = word(file.len());
        file.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), content].concat());
        central.extend([b"PK\x01\x02\x14\0", common.as_slice(), &[0; 10], &offset, name.as_bytes()].concat());
    }
    let (start, count) = (word(file.len()), half(members.len()));
    file.extend(&central);
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &word(central.len()), &start, &[0, 0]].concat());
    file
}

/// The same, compressed by gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    // Memory takes every byte.
    let written = writer.write_all(bytes).and_then(|()| writer.finish());
    written.unwrap_or_default()
}

/// An array of NumPy.
pub fn npy(descriptor: &str, shape: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descriptor}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap_or(0).to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), payload].concat()
}

/// A field of Protocol Buffers.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut made = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 0x7f {
        made.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    made.push(u8::try_from(length).unwrap_or(0));
    made.extend(content);
    made
}

fn integers(name: &str, list: &[u8]) -> Vec<u8> {
    [field(1, name.as_bytes()), list.iter().flat_map(|value| [8 << 3, *value]).collect()].concat()
}

fn floats(name: &str, list: &[f32]) -> Vec<u8> {
    let packed: Vec<u8> = list.iter().flat_map(|value| value.to_le_bytes()).collect();
    [field(1, name.as_bytes()), field(7, &packed)].concat()
}

fn texts(name: &str, list: &[&str]) -> Vec<u8> {
    [field(1, name.as_bytes()), list.iter().flat_map(|value| field(9, value.as_bytes())).collect()].concat()
}

/// A model of ONNX with one node and one tensor of weights.
fn onnx(domain: &str, operator: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let port = |name: &str, width: u8| {
        let shape = [field(1, &field(2, b"N")), field(1, &[8, width])].concat();
        let tensor = [vec![8, 1], field(2, &shape)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let opset = |domain: &str, version: u8| field(8, &[field(1, domain.as_bytes()), vec![16, version]].concat());
    let mut node: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    node.extend([field(2, b"y"), field(4, operator.as_bytes()), field(7, domain.as_bytes())].concat());
    node.extend(attributes.iter().flat_map(|attribute| field(5, attribute)));
    let weights = [vec![8, 2, 8, 1, 16, 1], field(8, b"w"), field(9, &[0; 8])].concat();
    let graph = [field(1, &node), field(5, &weights), field(11, &port("x", 2)), field(12, &port("y", 1))].concat();
    [vec![8, 8], opset("", 18), opset("ai.onnx.ml", 3), field(7, &graph)].concat()
}

fn tree() -> Vec<u8> {
    let attributes = [
        integers("nodes_treeids", &[0, 0, 0]),
        integers("nodes_nodeids", &[0, 1, 2]),
        integers("nodes_featureids", &[0, 0, 0]),
        floats("nodes_values", &[0.5, 0.0, 0.0]),
        texts("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
        integers("nodes_truenodeids", &[1, 0, 0]),
        integers("nodes_falsenodeids", &[2, 0, 0]),
        integers("target_treeids", &[0, 0]),
        integers("target_nodeids", &[1, 2]),
        integers("target_ids", &[0, 0]),
        floats("target_weights", &[1.0, 2.0]),
        [field(1, b"n_targets"), vec![24, 1]].concat(),
    ];
    onnx("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &attributes)
}

fn safetensors() -> Vec<u8> {
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#;
    let length = u64::try_from(header.len()).unwrap_or(0).to_le_bytes();
    [length.as_slice(), header.as_bytes(), &[0; 11]].concat()
}

fn gguf() -> Vec<u8> {
    let text = |text: &str| [u64::try_from(text.len()).unwrap_or(0).to_le_bytes().as_slice(), text.as_bytes()].concat();
    let mut file = [b"GGUF\x03\0\0\0".as_slice(), &1_u64.to_le_bytes(), &2_u64.to_le_bytes()].concat();
    for (key, value) in [("general.architecture", "llama"), ("tokenizer.chat_template", "{{ messages }}")] {
        file.extend([text(key), 8_u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    file.extend([text("w"), 1_u32.to_le_bytes().to_vec(), 4_u64.to_le_bytes().to_vec(), vec![0; 12]].concat());
    file.resize(file.len().next_multiple_of(32) + 32, 0);
    file
}

fn tar() -> Vec<u8> {
    let mut head = vec![0; 512];
    let mut put = |place: usize, piece: &[u8]| {
        for (byte, new) in head.iter_mut().skip(place).zip(piece) {
            *byte = *new;
        }
    };
    put(0, b"a.pkl");
    put(124, format!("{:011o}", PICKLE.len()).as_bytes());
    put(148, b"        0");
    put(257, b"ustar\0");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    for (byte, new) in head.iter_mut().skip(148).zip(format!("{sum:06o}\0").bytes()) {
        *byte = new;
    }
    head.extend(PICKLE);
    head.resize(head.len().next_multiple_of(512) + 1024, 0);
    head
}

/// The beginning of an HDF5 file: signature, superblock of version 0 and a group's table.
fn hdf5() -> Vec<u8> {
    let mut file = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
    for address in [0, u64::MAX, 2048, u64::MAX, 0, 96, 1] {
        file.extend(u64::to_le_bytes(address));
    }
    file.extend([0; 16]);
    file.extend(b"\x01\0\x01\0\x01\0\0\0\x18\0\0\0\0\0\0\0\x11\0\x10\0\0\0\0\0\x88\0\0\0\0\0\0\0\xa8\x02\0\0\0\0\0\0");
    file.extend(b"TREE\0\0\x01\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    file.extend(br#"model_config {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "module": "keras.layers"}]}}"#);
    file.resize(2048, 0);
    file
}

fn png() -> Vec<u8> {
    // One grey pixel.
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0\x02\0\x01H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82".to_vec()
}

/// Tables.
pub fn tables() -> Vec<Seed> {
    let numbers: Vec<u8> = (0_u8..6).flat_map(|value| f64::from(value).to_le_bytes()).collect();
    let array = npy("'<f8'", "(3, 2)", &numbers);
    vec![
        ("a.csv", b"id,name,when\n1,\"a \"\"b\"\", c\",2026-01-01\n2,,\n3,x\xc3\xa9,2026-01-02T03:04:05Z\r\n".to_vec()),
        ("a.csv", b"x;y\n1,5;2\n\n-3,25;nan\n".to_vec()),
        ("a.jsonl", b"{\"a\": 1, \"b\": {\"c\": [1, 2, null]}}\n{\"a\": 2.5, \"b\": {\"c\": [\"x\"]}, \"d\": true}\n".to_vec()),
        ("a.json", b"[{\"a\": 1, \"b\": {\"c\": \"]\"}},\n {\"a\": null}, 7]\n".to_vec()),
        ("a.json", b"{\"columns\": [\"a\", 2], \"index\": [0, 1], \"data\": [[1, {\"c\": [1, 2]}], [\"x\", null]]}".to_vec()),
        ("a.npy", array.clone()),
        ("a.npy", npy("[('a', '<i4'), ('b', '|S3', (2,))]", "(1,)", &[0; 10])),
        ("a.npz", zip(&[("x.npy", &array), ("y.npy", &npy("'|b1'", "(3,)", &[0, 1, 1]))])),
        ("a.png", png()),
    ]
}

/// Files of models, as the scanner meets them.
pub fn models() -> Vec<Seed> {
    let keras =
        br#"{"module":"keras","class_name":"Sequential","config":{"layers":[{"module":"keras.layers","class_name":"Dense"}]}}"#;
    let mut all = vec![
        ("a.pkl", PICKLE.to_vec()),
        ("a.pkl", b"cos\nsystem\n(S'true'\ntR.".to_vec()),
        ("a.pt", zip(&[("m/data.pkl", TORCH), ("m/data/0", &[0; 8]), ("m/version", b"3\n")])),
        ("a.joblib.gz", gzip(PICKLE)),
        ("a.keras", zip(&[("metadata.json", b"{}"), ("config.json", keras), ("model.weights.h5", &hdf5())])),
        ("a.h5", hdf5()),
        ("a.tar", tar()),
        ("a.npy", npy("'|O'", "(2,)", PICKLE)),
        ("a.safetensors", safetensors()),
        ("a.gguf", gguf()),
        ("saved_model.pb", [b"\x08\x01".to_vec(), field(2, &field(2, &field(1, &field(2, b"MatMul"))))].concat()),
        (
            "MLmodel",
            b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n    env: {conda: conda.yaml}\n".to_vec(),
        ),
        ("requirements.txt", b"mlflow==3.1\nscikit-learn>=1.2,<2 ; python_version > '3.9'\n--index-url https://example.org\ngit+https://example.org/x\n".to_vec()),
        ("conda.yaml", b"channels: [conda-forge]\ndependencies:\n- python=3.11\n- pip:\n  - mlflow==3.1\n".to_vec()),
        ("config.json", br#"{"auto_map":{"AutoModel":"modeling.Mine"},"architectures":["A"]}"#.to_vec()),
    ];
    all.extend(runtimes());
    all
}

/// Models that the runtime computes.
pub fn runtimes() -> Vec<Seed> {
    let mean = npy("'<f8'", "(2,)", &[0; 16]);
    vec![
        ("model.onnx", tree()),
        ("model.onnx", onnx("", "Add", &["x", "w"], &[])),
        ("model.onnx", onnx("", "Gemm", &["x", "w"], &[integers("transB", &[1])])),
        ("model.onnx", onnx("", "Concat", &["x", "x"], &[[field(1, b"axis"), vec![24, 1]].concat()])),
        ("model.lgb", LIGHTGBM.as_bytes().to_vec()),
        ("model.json", XGBOOST.as_bytes().to_vec()),
        ("model.ubj", b"{L\0\0\0\0\0\0\0\x07learner{L\0\0\0\0\0\0\0\x09objective{L\0\0\0\0\0\0\0\x04nameSL\0\0\0\0\0\0\0\x03abc}L\0\0\0\0\0\0\0\x01a[$i#L\0\0\0\0\0\0\0\x02\x01\x02}}".to_vec()),
        ("model.skops", zip(&[("schema.json", SKOPS.as_bytes()), ("1.npy", &mean)])),
    ]
}

/// Texts of contracts and of what is imported as one.
pub fn contracts() -> Vec<Seed> {
    vec![
        ("odcs", CONTRACT.as_bytes().to_vec()),
        ("great-expectations", br#"{"name":"s","expectations":[{"type":"expect_column_values_to_be_between","kwargs":{"column":"a","min_value":0,"mostly":0.9}},{"type":"expect_column_values_to_match_regex","kwargs":{"column":"b","regex":"^a+$"}}]}"#.to_vec()),
        ("json-schema", br##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["a"],"properties":{"a":{"type":["integer","null"],"minimum":0},"b":{"$ref":"#/$defs/b"}},"$defs":{"b":{"type":"string","pattern":"^a","enum":["a"]}}}"##.to_vec()),
        ("frictionless", br#"{"name":"r","schema":{"fields":[{"name":"a","type":"integer","constraints":{"required":true,"minimum":1}}],"primaryKey":"a","foreignKeys":[{"fields":"a","reference":{"resource":"o","fields":"id"}}]}}"#.to_vec()),
        ("dbt", b"version: 2\nmodels:\n- name: m\n  columns:\n  - name: a\n    tests: [unique, not_null, {accepted_values: {values: [1, 2]}}, {relationships: {to: ref('o'), field: id}}]\n".to_vec()),
    ]
}

/// Files of gates.
pub fn gates() -> Vec<Seed> {
    vec![("gates.yaml", GATES.as_bytes().to_vec())]
}

/// Filters and orders of searches.
pub fn filters() -> Vec<Seed> {
    [
        "metrics.`a b` >= 0.5 AND params.x != 'y' AND tags.\"mlflow.user\" LIKE '%a_%'",
        "attributes.run_id IN ('a', 'b') and attributes.start_time > 5",
        "dataset.name = 'd' and dataset.digest ILIKE 'X%'",
        "name = 'a' AND tag.k IS NOT NULL",
        "trace.status = 'OK' AND span.name LIKE '%x' AND metadata.`a.b` = 'c' AND timestamp_ms < 9",
        "metrics.acc DESC",
        "attributes.start_time ASC",
        "eyJvZmZzZXQiOiA1fQ==",
    ]
    .into_iter()
    .map(|text| ("filter", text.as_bytes().to_vec()))
    .collect()
}
