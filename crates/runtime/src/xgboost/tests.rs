use serde_json::{Value, json};

use super::*;
use crate::Values;

fn small() -> Value {
    json!({"version": [3, 0, 0], "learner": {
        "attributes": {}, "feature_names": ["a", "b"], "feature_types": [],
        "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2", "num_target": "1"},
        "objective": {"name": "reg:squarederror"},
        "gradient_booster": {"name": "gbtree", "model": {
            "gbtree_model_param": {"num_trees": "1", "num_parallel_tree": "1"}, "iteration_indptr": [0, 1], "tree_info": [0],
            "trees": [{
                "left_children": [1, -1, 3, -1, -1], "right_children": [2, -1, 4, -1, -1], "split_indices": [0, 0, 1, 0, 0],
                "split_conditions": [0.5, 1.0, 0.0, 2.0, 3.0], "default_left": [1, 0, 0, 0, 0], "split_type": [0, 0, 1, 0, 0],
                "categories": [1, 2], "categories_nodes": [2], "categories_segments": [0], "categories_sizes": [2],
                "tree_param": {"num_nodes": "5", "size_leaf_vector": "1"}}]}}}})
}

fn load(model: &Value) -> Result<Xgboost, LoadError> {
    Xgboost::load_json(model.to_string().as_bytes(), &Limits::default())
}

fn predictions(model: &Xgboost, rows: &[[f32; 2]]) -> Vec<f32> {
    let batch = Batch::matrix(rows.len(), 2, Values::F32(rows.concat())).unwrap();
    let outputs = model.predict(&batch).unwrap();
    outputs.value().unwrap().values().to_f32().unwrap()
}

#[test]
fn rows_find_their_leaves() {
    let model = load(&small()).unwrap();
    let missing = f32::NAN;
    let rows = [[0.4, 0.0], [missing, 0.0], [0.5, 1.0], [0.5, 3.0], [0.5, missing], [0.5, -1.0]];
    assert_eq!(predictions(&model, &rows), [1.5, 1.5, 3.5, 2.5, 3.5, 2.5]);
}

#[test]
fn only_the_wrapper_stops_at_the_best_iteration() {
    let mut model = small();
    let booster = &mut model["learner"]["gradient_booster"]["model"];
    booster["trees"] = json!([booster["trees"][0].clone(), booster["trees"][0].clone()]);
    booster["tree_info"] = json!([0, 0]);
    booster["iteration_indptr"] = json!([0, 1, 2]);
    model["learner"]["attributes"] = json!({"best_iteration": "0"});
    assert_eq!(predictions(&load(&model).unwrap(), &[[0.0, 0.0]]), [2.5]);
    model["learner"]["attributes"] = json!({"best_iteration": "0", "scikit_learn": "{}"});
    assert_eq!(predictions(&load(&model).unwrap(), &[[0.0, 0.0]]), [1.5]);
    model["learner"]["attributes"] = json!({"best_iteration": "7", "scikit_learn": "{}"});
    assert!(load(&model).is_err());
}

#[test]
fn what_is_unknown_or_broken_is_refused() {
    let tree = "/learner/gradient_booster/model/trees/0";
    for (place, value) in [
        ("/learner/objective/name".to_owned(), json!("mine")),
        ("/learner/gradient_booster/name".to_owned(), json!("other")),
        ("/learner/learner_model_param/num_feature".to_owned(), json!("1")),
        ("/learner/learner_model_param/num_feature".to_owned(), json!("99999999999")),
        ("/learner/learner_model_param/num_class".to_owned(), json!("99999999999")),
        ("/learner/learner_model_param/num_class".to_owned(), json!("-1")),
        ("/learner/learner_model_param/base_score".to_owned(), json!("nan")),
        ("/learner/learner_model_param/base_score".to_owned(), json!("[1,2]")),
        ("/learner/feature_names".to_owned(), json!(["a"])),
        ("/version".to_owned(), json!("3")),
        ("/learner/gradient_booster/model/tree_info".to_owned(), json!([])),
        ("/learner/gradient_booster/model/tree_info".to_owned(), json!([-1])),
        ("/learner/gradient_booster/model/tree_info".to_owned(), json!([3])),
        (format!("{tree}/left_children/0"), json!(0)),
        (format!("{tree}/left_children/0"), json!(9)),
        (format!("{tree}/left_children/0"), json!(-1)),
        (format!("{tree}/split_indices/0"), json!(-5)),
        (format!("{tree}/split_conditions"), json!([0.5])),
        (format!("{tree}/split_type/0"), json!(2)),
        (format!("{tree}/categories"), json!([1, -2])),
        (format!("{tree}/categories_sizes"), json!([99])),
        (format!("{tree}/tree_param/size_leaf_vector"), json!("3")),
    ] {
        let mut model = small();
        *model.pointer_mut(&place).unwrap() = value.clone();
        assert!(load(&model).is_err(), "{place} = {value}");
    }
}
