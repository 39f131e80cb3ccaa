//! MLflow's REST API, as its Python client and its web page speak it. One file per family of endpoints; each maps JSON
//! to a verb and its output to JSON. Shapes and limits: MLflow's `service.proto` and `model_registry.proto`.

pub mod json;
