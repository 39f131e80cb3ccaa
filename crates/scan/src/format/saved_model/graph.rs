//! What is read of one MetaGraph: its nodes, the operators of its functions, and what runs when the model is loaded or used.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::cursor::{Stop, malformed};
use crate::format::protobuf::fields;
use crate::source::Window;

/// Bytes of all names of one file that are kept.
const NAMES_BYTES_MAX: usize = 128 << 20;
/// Functions as attributes of functions.
const ATTRIBUTE_DEPTH_MAX: usize = 16;
/// Tensors that are made of tensors.
const TENSOR_DEPTH_MAX: usize = 4;

/// A node of the graph itself.
pub(super) struct Node {
    pub name: String,
    /// Names of the nodes that it depends on.
    pub inputs: Vec<String>,
    /// Its operator, and the functions that it calls.
    pub calls: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct MetaGraph {
    pub nodes: Vec<Node>,
    /// What each function of the library uses: operators and functions.
    pub functions: BTreeMap<String, BTreeSet<String>>,
    /// All operators, those of functions too.
    pub operators: BTreeSet<String>,
    /// The node that saves the model's variables.
    pub saver: Option<String>,
    /// Nodes that run when the model is loaded or used.
    pub used: BTreeSet<String>,
    /// Functions that Python calls.
    pub called: BTreeSet<String>,
}

/// Reads MetaGraphs; it counts what it keeps.
#[derive(Default)]
pub(super) struct Reader {
    names_bytes: usize,
}

impl Reader {
    pub fn meta_graph(&mut self, meta: Window<'_>) -> Result<MetaGraph, Stop> {
        let mut found = MetaGraph::default();
        fields(meta, |field| match (field.number, field.bytes()) {
            (2, Some(graph)) => self.graph(graph, &mut found),
            (3, Some(saver)) => fields(saver, |field| {
                match field.number {
                    2 => found.saver = Some(node_of(&field.text()?)),
                    3 => {
                        found.used.insert(node_of(&field.text()?));
                    }
                    _ => {}
                }
                Ok(())
            }),
            (4, Some(collection)) => self.collection(collection, &mut found),
            (5, Some(signature)) => self.signature(signature, &mut found),
            (7, Some(objects)) => fields(objects, |field| match (field.number, field.bytes()) {
                (2, Some(entry)) => fields(entry, |field| {
                    if field.number == 1 {
                        found.called.insert(self.keep(field.text()?)?);
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })?;
        Ok(found)
    }

    fn keep(&mut self, name: String) -> Result<String, Stop> {
        self.names_bytes += name.len() + size_of::<String>();
        if self.names_bytes > NAMES_BYTES_MAX { malformed("the graphs have more names than the scanner keeps") } else { Ok(name) }
    }

    fn graph(&mut self, graph: Window<'_>, found: &mut MetaGraph) -> Result<(), Stop> {
        fields(graph, |field| match (field.number, field.bytes()) {
            (1, Some(node)) => {
                let node = self.node(node, &mut found.operators)?;
                found.nodes.push(node);
                Ok(())
            }
            (2, Some(library)) => fields(library, |field| match (field.number, field.bytes()) {
                (1, Some(function)) => self.function(function, found),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn function(&mut self, function: Window<'_>, found: &mut MetaGraph) -> Result<(), Stop> {
        let (mut name, mut calls) = (String::new(), BTreeSet::new());
        fields(function, |field| match (field.number, field.bytes()) {
            (1, Some(signature)) => fields(signature, |field| {
                if field.number == 1 {
                    name = self.keep(field.text()?)?;
                }
                Ok(())
            }),
            (3, Some(node)) => {
                calls.extend(self.node(node, &mut found.operators)?.calls);
                Ok(())
            }
            _ => Ok(()),
        })?;
        found.functions.entry(name).or_default().extend(calls);
        Ok(())
    }

    fn node(&mut self, node: Window<'_>, operators: &mut BTreeSet<String>) -> Result<Node, Stop> {
        let mut read = Node { name: String::new(), inputs: Vec::new(), calls: BTreeSet::new() };
        fields(node, |field| {
            match (field.number, field.bytes()) {
                (1, Some(_)) => read.name = self.keep(field.text()?)?,
                (2, Some(_)) => {
                    let operator = field.text()?;
                    if !operators.contains(&operator) {
                        operators.insert(self.keep(operator.clone())?);
                    }
                    read.calls.insert(operator);
                }
                (3, Some(_)) => read.inputs.push(self.keep(node_of(&field.text()?))?),
                (5, Some(entry)) => fields(entry, |field| match (field.number, field.bytes()) {
                    (2, Some(value)) => self.attribute(value, &mut read.calls, 0),
                    _ => Ok(()),
                })?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(read)
    }

    /// Functions that an attribute's value names: one, or a list, each with attributes of its own.
    fn attribute(&mut self, value: Window<'_>, calls: &mut BTreeSet<String>, depth: usize) -> Result<(), Stop> {
        if depth > ATTRIBUTE_DEPTH_MAX {
            return malformed("functions stand in attributes too deep");
        }
        fields(value, |field| match (field.number, field.bytes()) {
            (10, Some(function)) => self.named(function, calls, depth),
            (1, Some(list)) => fields(list, |field| match (field.number, field.bytes()) {
                (9, Some(function)) => self.named(function, calls, depth),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn named(&mut self, function: Window<'_>, calls: &mut BTreeSet<String>, depth: usize) -> Result<(), Stop> {
        fields(function, |field| match (field.number, field.bytes()) {
            (1, Some(_)) => {
                calls.insert(self.keep(field.text()?)?);
                Ok(())
            }
            (2, Some(entry)) => fields(entry, |field| match (field.number, field.bytes()) {
                (2, Some(value)) => self.attribute(value, calls, depth + 1),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    /// A collection that lists nodes, such as those to run on loading.
    fn collection(&mut self, collection: Window<'_>, found: &mut MetaGraph) -> Result<(), Stop> {
        fields(collection, |field| match (field.number, field.bytes()) {
            (2, Some(definition)) => fields(definition, |field| match (field.number, field.bytes()) {
                (1, Some(list)) => fields(list, |field| {
                    if field.bytes().is_some() {
                        found.used.insert(self.keep(node_of(&field.text()?))?);
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    /// An output: by its name, as the parts of a sparse tensor, or as one of several.
    fn tensor(&mut self, tensor: Window<'_>, found: &mut MetaGraph, depth: usize) -> Result<(), Stop> {
        if depth > TENSOR_DEPTH_MAX {
            return malformed("an output is made of outputs too deep");
        }
        fields(tensor, |field| match (field.number, field.bytes()) {
            (1, Some(_)) => {
                found.used.insert(self.keep(node_of(&field.text()?))?);
                Ok(())
            }
            (4, Some(parts)) => fields(parts, |field| {
                found.used.insert(self.keep(node_of(&field.text()?))?);
                Ok(())
            }),
            (5, Some(parts)) => fields(parts, |field| match (field.number, field.bytes()) {
                (2, Some(part)) => self.tensor(part, found, depth + 1),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    /// The nodes of a signature's outputs.
    fn signature(&mut self, signature: Window<'_>, found: &mut MetaGraph) -> Result<(), Stop> {
        fields(signature, |field| match (field.number, field.bytes()) {
            (2, Some(definition)) => fields(definition, |field| match (field.number, field.bytes()) {
                (2, Some(output)) => fields(output, |field| match (field.number, field.bytes()) {
                    (2, Some(tensor)) => self.tensor(tensor, found, 0),
                    _ => Ok(()),
                }),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }
}

/// The node of a tensor `node:0` or of a dependency `^node`.
fn node_of(tensor: &str) -> String {
    let name = tensor.strip_prefix('^').unwrap_or(tensor);
    name.split_once(':').map_or(name, |(node, _)| node).to_owned()
}
