//! Files that lie: every one is refused or loaded, in bounded time and memory, and nothing panics.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use runtime::{Batch, Limits, LoadError, Model, PredictError, Role, Tensor, Values};

/// A message of Protocol Buffers, written by hand.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

fn integers(name: &str, list: &[i64]) -> Message {
    list.iter().fold(Message::default().bytes(1, name.as_bytes()), |message, value| message.number(8, *value))
}

fn floats(name: &str, list: &[f32]) -> Message {
    let packed: Vec<u8> = list.iter().flat_map(|value| value.to_le_bytes()).collect();
    Message::default().bytes(1, name.as_bytes()).bytes(7, &packed)
}

fn texts(name: &str, list: &[&str]) -> Message {
    list.iter().fold(Message::default().bytes(1, name.as_bytes()), |message, value| message.bytes(9, value.as_bytes()))
}

fn node(domain: &str, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let mut node = Message::default().bytes(4, op.as_bytes()).bytes(7, domain.as_bytes());
    node = inputs.iter().fold(node, |node, name| node.bytes(1, name.as_bytes()));
    node = outputs.iter().fold(node, |node, name| node.bytes(2, name.as_bytes()));
    attributes.iter().fold(node, |node, attribute| node.message(5, attribute))
}

fn port(name: &str, code: i64, width: i64) -> Message {
    let shape =
        Message::default().message(1, &Message::default().bytes(2, b"N")).message(1, &Message::default().number(1, width));
    let tensor = Message::default().number(1, code).message(2, &shape);
    Message::default().bytes(1, name.as_bytes()).message(2, &Message::default().message(1, &tensor))
}

fn model(nodes: &[Message], more: &[(u64, Message)], output: &str) -> Vec<u8> {
    of_type(1, nodes, more, output)
}

/// A graph from two columns `x` of this type to an output of the same.
fn of_type(code: i64, nodes: &[Message], more: &[(u64, Message)], output: &str) -> Vec<u8> {
    let mut graph = nodes.iter().fold(Message::default(), |graph, node| graph.message(1, node));
    graph = more.iter().fold(graph, |graph, (field, message)| graph.message(*field, message));
    graph = graph.message(11, &port("x", code, 2)).message(12, &port(output, code, 1));
    let opset = |domain: &str, version| Message::default().bytes(1, domain.as_bytes()).number(2, version);
    Message::default().number(1, 8).message(8, &opset("", 18)).message(8, &opset("ai.onnx.ml", 3)).message(7, &graph).0
}

/// One tree: `x[0] <= 0.5` gives 1, else 2; lists can be replaced.
fn tree(changed: &[Message]) -> Vec<u8> {
    let mut attributes = vec![
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
        Message::default().bytes(1, b"n_targets").number(3, 1),
    ];
    for change in changed {
        // A name is the first field: its tag, its length, its text.
        let length = usize::from(change.0[1]) + 2;
        attributes.retain(|attribute| attribute.0[..length.min(attribute.0.len())] != change.0[..length]);
        attributes.push(change.clone());
    }
    model(&[node("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &["y"], &attributes)], &[], "y")
}

fn load_as(name: &str, bytes: &[u8]) -> Result<Model, LoadError> {
    Model::load(&BTreeMap::from([(name.to_owned(), bytes.to_vec())]), &Limits::default())
}

fn onnx(bytes: &[u8]) -> Result<Model, LoadError> {
    load_as("model.onnx", bytes)
}

fn rows(list: &[f32]) -> Batch {
    Batch::matrix(list.len() / 2, 2, Values::F32(list.to_vec())).unwrap()
}

#[test]
fn an_honest_tree_is_walked() {
    let model = onnx(&tree(&[])).unwrap();
    let outputs = model.predict(&rows(&[0.5, 0.0, 0.6, 0.0, f32::NAN, 0.0])).unwrap();
    assert_eq!(outputs.value().unwrap().values(), &Values::F32(vec![1.0, 2.0, 2.0]));
    let wrong = Batch::matrix(1, 3, Values::F32(vec![0.0; 3])).unwrap();
    assert!(matches!(model.predict(&wrong), Err(PredictError::Input(_))));
}

#[test]
fn trees_that_lie_are_refused() {
    for (name, change) in [
        ("a cycle", integers("nodes_truenodeids", &[0, 0, 0])),
        ("one child twice", integers("nodes_truenodeids", &[2, 0, 0])),
        ("a child out of range", integers("nodes_truenodeids", &[7, 0, 0])),
        ("a child below zero", integers("nodes_truenodeids", &[-1, 0, 0])),
        ("a feature below zero", integers("nodes_featureids", &[-1, 0, 0])),
        ("a feature of billions", integers("nodes_featureids", &[1 << 40, 0, 0])),
        ("a list too short", integers("nodes_featureids", &[0])),
        ("a node twice", integers("nodes_nodeids", &[0, 1, 1])),
        ("a node of another tree", integers("nodes_treeids", &[0, 0, 1])),
        ("a weight without its leaf", integers("target_nodeids", &[1, 9])),
        ("a target out of range", integers("target_ids", &[0, 1])),
        ("a target below zero", integers("target_ids", &[0, -1])),
        ("an unknown mode", texts("nodes_modes", &["BRANCH_SIDEWAYS", "LEAF", "LEAF"])),
        ("a split by NaN", floats("nodes_values", &[f32::NAN, 0.0, 0.0])),
        ("no targets", Message::default().bytes(1, b"n_targets").number(3, 0)),
        ("targets of billions", Message::default().bytes(1, b"n_targets").number(3, 1 << 40)),
        ("an unknown attribute", integers("nodes_of_tomorrow", &[1])),
        ("an unknown aggregate", Message::default().bytes(1, b"aggregate_function").bytes(4, b"MEDIAN")),
    ] {
        assert!(onnx(&tree(&[change])).is_err(), "{name}");
    }
    // A feature beyond the rows is noticed when a row is tried.
    let error = onnx(&tree(&[integers("nodes_featureids", &[5, 0, 0])])).unwrap_err();
    assert!(error.to_string().contains("cannot answer"), "{error}");
}

#[test]
fn graphs_that_lie_are_refused() {
    let relu = |from: &str, to: &str| node("", "Relu", &[from], &[to], &[]);
    let tensor = |shape: &[i64], code: i64, raw: &[u8]| {
        let message =
            shape.iter().fold(Message::default().number(2, code).bytes(8, b"w"), |message, size| message.number(1, *size));
        message.bytes(9, raw)
    };
    for (name, bytes) in [
        ("a value that nothing gives", model(&[relu("z", "y")], &[], "y")),
        ("a cycle", model(&[relu("y", "z"), relu("z", "y")], &[], "y")),
        ("a value given twice", model(&[relu("x", "y"), relu("x", "y")], &[], "y")),
        ("an output that nothing gives", model(&[relu("x", "z")], &[], "y")),
        ("an operator of another domain", model(&[node("com.example", "Relu", &["x"], &["y"], &[])], &[], "y")),
        ("an unknown operator", model(&[node("", "Explode", &["x"], &["y"], &[])], &[], "y")),
        ("a subgraph", model(&[node("", "Relu", &["x"], &["y"], &[Message::default().bytes(1, b"g").bytes(6, b"")])], &[], "y")),
        ("weights larger than their bytes", model(&[relu("x", "y")], &[(5, tensor(&[1 << 31, 1 << 31], 1, b"\0\0\0\0"))], "y")),
        ("a negative size", model(&[relu("x", "y")], &[(5, tensor(&[-1], 1, b"\0\0\0\0"))], "y")),
        ("half a float", model(&[relu("x", "y")], &[(5, tensor(&[1], 1, b"\0\0\0"))], "y")),
        ("an unknown type", model(&[relu("x", "y")], &[(5, tensor(&[1], 99, b"\0"))], "y")),
        ("weights elsewhere", model(&[relu("x", "y")], &[(5, tensor(&[1], 1, b"\0\0\0\0").number(14, 1))], "y")),
        ("functions", [model(&[relu("x", "y")], &[], "y"), Message::default().bytes(25, b"").0].concat()),
        ("two graphs", [model(&[relu("x", "y")], &[], "y"), model(&[relu("x", "y")], &[], "y")].concat()),
        (
            "a newer operator set",
            [model(&[relu("x", "y")], &[], "y"), Message::default().message(8, &Message::default().number(2, 99)).0].concat(),
        ),
    ] {
        assert!(onnx(&bytes).is_err(), "{name}");
    }
    assert!(onnx(&model(&[relu("x", "y")], &[(5, tensor(&[1], 1, b"\0\0\0\0"))], "y")).is_ok());
}

#[test]
fn what_would_grow_without_bound_is_stopped() {
    // Each step doubles what it is given: forty of them would be a terabyte.
    let mut nodes = Vec::new();
    let mut last = "x".to_owned();
    for step in 0..40 {
        let next = if step == 39 { "y".to_owned() } else { format!("v{step}") };
        let axis = Message::default().bytes(1, b"axis").number(3, 1);
        nodes.push(node("", "Concat", &[&last, &last], &[&next], &[axis]));
        last = next;
    }
    let model = onnx(&model(&nodes, &[], "y")).unwrap();
    let error = model.predict(&rows(&[1.0, 2.0])).unwrap_err();
    assert!(error.to_string().contains("limit"), "{error}");
}

#[test]
fn a_batch_of_the_wrong_kind_is_refused() {
    let model = onnx(&tree(&[])).unwrap();
    for batch in [
        Batch::matrix(1, 2, Values::Text(vec!["a".to_owned(), "b".to_owned()])).unwrap(),
        Batch::columns(vec![("a".to_owned(), Values::F32(vec![1.0]))]).unwrap(),
        Batch::tensors(vec![(String::new(), Tensor::new(vec![1, 2, 1], Values::F32(vec![0.0; 2])).unwrap())]).unwrap(),
    ] {
        assert!(matches!(model.predict(&batch), Err(PredictError::Input(_))), "{batch:?}");
    }
    let empty = Batch::matrix(0, 2, Values::F32(vec![])).unwrap();
    assert_eq!(model.predict(&empty).unwrap().value().unwrap().values().len(), 0);
}

#[test]
fn what_can_never_answer_is_refused_at_once() {
    let cast = |to| Message::default().bytes(1, b"to").number(3, to);
    for (name, nodes) in [
        ("matrices that do not fit", vec![node("", "MatMul", &["x", "x"], &["y"], &[])]),
        (
            "an axis that is not there",
            vec![node("", "Softmax", &["x"], &["y"], &[Message::default().bytes(1, b"axis").number(3, 7)])],
        ),
        ("text of floats", vec![node("", "Cast", &["x"], &["y"], &[cast(8)])]),
    ] {
        let error = onnx(&model(&nodes, &[], "y")).unwrap_err();
        assert!(error.to_string().contains("cannot answer"), "{name}: {error}");
    }
}

#[test]
fn narrow_integers_keep_their_width() {
    let doubled = |code| onnx(&of_type(code, &[node("", "Add", &["x", "x"], &["y"], &[])], &[], "y")).unwrap();
    let ask = |model: &Model, values: &[i64]| {
        let batch = Batch::matrix(1, 2, Values::I64(values.to_vec())).unwrap();
        model.predict(&batch).map(|outputs| outputs.all[0].tensor.values().clone())
    };
    let (byte, int) = (doubled(2), doubled(6));
    assert_eq!((byte.signature().inputs[0].oip_name(), int.signature().inputs[0].oip_name()), ("UINT8", "INT32"));
    assert_eq!(ask(&byte, &[200, 3]), Ok(Values::I64(vec![144, 6])));
    assert_eq!(ask(&int, &[i64::from(i32::MAX), -7]), Ok(Values::I64(vec![-2, -14])));
    for (model, values) in [(&byte, [300, 0]), (&byte, [-7, 0]), (&int, [1 << 31, 0])] {
        assert!(matches!(ask(model, &values), Err(PredictError::Input(_))), "{values:?}");
    }
    let mixed = node("", "Add", &["x", "z"], &["y"], &[]);
    let wide = node("", "Cast", &["x"], &["z"], &[Message::default().bytes(1, b"to").number(3, 7)]);
    assert!(onnx(&of_type(6, &[wide, mixed], &[], "y")).is_err(), "two widths in one sum");
}

#[test]
fn a_networks_softmax_is_probabilities() {
    let soft = |axis| node("", "Softmax", &["x"], &["p"], &[Message::default().bytes(1, b"axis").number(3, axis)]);
    let role = |nodes: &[Message], output: &str| onnx(&model(nodes, &[], output)).unwrap().signature().outputs[0].role;
    assert_eq!(role(&[soft(-1), node("", "Identity", &["p"], &["y"], &[])], "y"), Role::Probabilities);
    assert_eq!(role(&[soft(1)], "p"), Role::Probabilities);
    assert_eq!(role(&[soft(0)], "p"), Role::Value);
    assert_eq!(role(&[soft(-1), node("", "Add", &["p", "x"], &["y"], &[])], "y"), Role::Value);
    assert_eq!(role(&[node("", "Sigmoid", &["x"], &["probability"], &[])], "probability"), Role::Probabilities);
    assert_eq!(role(&[node("", "Sigmoid", &["x"], &["y"], &[])], "y"), Role::Value);
}

#[test]
fn missing_and_infinite_values_are_refused_where_they_must_be() {
    let mut model = onnx(&tree(&[])).unwrap();
    model.refuse(vec![false, true], true);
    assert!(model.predict(&rows(&[f32::NAN, 0.0])).is_ok());
    for refused in [[0.0, f32::NAN], [f32::INFINITY, 0.0]] {
        assert!(matches!(model.predict(&rows(&refused)), Err(PredictError::Input(_))), "{refused:?}");
    }
}

/// Numbers that look random (Marsaglia's xorshift), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn any_bytes_are_refused_or_loaded() {
    let lightgbm = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=binary sigmoid:1\n\
        feature_names=a b\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0.5\ndecision_type=2\nleft_child=-1\n\
        right_child=-2\nleaf_value=1 2\nis_linear=0\n\nend of trees\n";
    let ubj = b"{L\0\0\0\0\0\0\0\x07learner{L\0\0\0\0\0\0\0\x09objective{L\0\0\0\0\0\0\0\x04nameSL\0\0\0\0\0\0\0\x03abc}}}";
    let seeds: [(&str, Vec<u8>); 3] =
        [("model.onnx", tree(&[])), ("model.lgb", lightgbm.as_bytes().to_vec()), ("model.ubj", ubj.to_vec())];
    assert!(load_as("model.lgb", &seeds[1].1).is_ok());
    let batch = rows(&[0.0, 1.0]);
    let mut random = Random(0x5eed);
    let mut loaded = 0;
    for (name, seed) in &seeds {
        for length in 0..seed.len() {
            let _ = load_as(name, &seed[..length]);
        }
        for _ in 0..4_000 {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(3) {
                let place = random.below(bytes.len());
                bytes[place] = random.below(256) as u8;
            }
            if let Ok(model) = load_as(name, &bytes) {
                let _ = model.predict(&batch);
                loaded += 1;
            }
        }
    }
    assert!(loaded > 0);
}
