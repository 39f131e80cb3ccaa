//! What a model and a batch may cost.

/// Bounds on a model and on what it is asked. The defaults suit a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a model's file, and of each file that is unpacked from it.
    pub model_bytes_max: u64,
    /// Nodes of all trees together.
    pub tree_node_count_max: usize,
    /// Steps from a tree's root to its farthest leaf.
    pub tree_depth_max: usize,
    /// Nodes of an ONNX graph, steps of a pipeline.
    pub step_count_max: usize,
    /// Nesting of a document: JSON, UBJ, skops.
    pub nesting_max: usize,
    /// Columns of a batch, classes and other outputs of a model.
    pub width_max: usize,
    /// Elements of one tensor, while predicting.
    pub tensor_elements_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            model_bytes_max: 1 << 30,
            tree_node_count_max: 40_000_000,
            tree_depth_max: 4_096,
            step_count_max: 20_000,
            nesting_max: 64,
            width_max: 1 << 20,
            tensor_elements_max: 1 << 26,
        }
    }
}
