//! ONNX: the graph's operators and their domains, and where tensors lie outside of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::container::names;
use crate::context::Context;
use crate::limits::VALUE_DEPTH_MAX;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::cursor::{Stop, malformed};
use super::protobuf::{Content, Field, fields};

/// Domains whose operators every runtime brings itself.
const DOMAINS: [&str; 6] = ["", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"];
/// Operators that run Python or code of the author's; the last hands a compiled program, of the file or beside it, to a driver.
const OPERATORS: [&str; 7] = ["PyOp", "PyCustomOp", "PythonOp", "ATen", "PythonOpGrad", "TorchScript", "EPContext"];
/// Bytes between tensors in an external file.
const ALIGNMENT_BYTES_MAX: u64 = 64 << 10;
const FINDINGS_EACH_MAX: usize = 16;

/// Whether the fields are those of an ONNX model: a version, a graph, and none that it does not have.
pub(super) fn is_onnx(window: Window<'_>) -> io::Result<bool> {
    let (mut version, mut graph) = (false, false);
    let walked = fields(window, |field| {
        match (field.number, field.content) {
            (1, Content::Number(1..=64)) => version = true,
            (7, Content::Bytes(_)) => graph = true,
            (2..=6 | 8 | 14 | 20 | 25 | 26, _) => {}
            _ => return malformed("no field of a model"),
        }
        Ok(())
    });
    match walked {
        Err(Stop::Source(error)) => Err(error),
        Err(Stop::Malformed(_)) => Ok(false),
        Ok(()) => Ok(version && graph),
    }
}

#[derive(Default)]
struct Found {
    operators: BTreeSet<(String, String)>,
    /// Functions of the model's own, by domain and name.
    functions: BTreeSet<(String, String)>,
    /// External files, and the bytes of them that tensors take: where they begin, and how many.
    locations: BTreeMap<String, Vec<(u64, Option<u64>)>>,
    odd_locations: BTreeSet<String>,
}

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let mut found = Found::default();
    match fields(window, |field| model(field, &mut found)) {
        Ok(()) => {}
        Err(Stop::Source(error)) => return Err(error),
        Err(Stop::Malformed(problem)) => context.find(rules::FORMAT_MALFORMED, None, problem),
    }
    judge(context, &found);
    Ok(())
}

fn judge(context: &mut Context<'_>, found: &Found) {
    for (domain, operator) in
        found.operators.iter().filter(|(_, operator)| OPERATORS.contains(&operator.as_str())).take(FINDINGS_EACH_MAX)
    {
        context.find(rules::ONNX_OPERATOR, None, format!("the operator `{}` of `{}`", shown(operator), shown(domain)));
    }
    let custom =
        found.operators.iter().filter(|operator| !DOMAINS.contains(&operator.0.as_str()) && !found.functions.contains(*operator));
    for (domain, operator) in custom.take(FINDINGS_EACH_MAX) {
        context.find(rules::ONNX_DOMAIN, None, format!("the operator `{}` of the domain `{}`", shown(operator), shown(domain)));
    }
    for location in found.odd_locations.iter().take(FINDINGS_EACH_MAX) {
        context.find(rules::ONNX_PATH, None, format!("the external data of tensors: `{}`", shown(location)));
    }
    let folder = context.report.path.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    for (location, places) in &found.locations {
        if let Some(why) = names::problem(location) {
            context.find(rules::ONNX_PATH, None, format!("`{}`: {why}", shown(location)));
        } else if context.siblings.contains(&format!("{folder}{location}")) {
            let path = format!("{folder}{location}");
            context.report.external_places.insert(path.clone(), covered(places.clone()));
            context.report.external.push(path);
        } else {
            context.find(rules::ONNX_MISSING, None, format!("`{}`", shown(location)));
        }
    }
}

/// Up to where the file is covered by tensors: between them there may be as much as aligns them. Without a length, a tensor
/// takes the rest of the file.
fn covered(mut places: Vec<(u64, Option<u64>)>) -> u64 {
    places.sort_unstable();
    let mut end = 0_u64;
    for (offset, length) in places {
        if offset > end.saturating_add(ALIGNMENT_BYTES_MAX) {
            break;
        }
        end = end.max(length.map_or(u64::MAX, |length| offset.saturating_add(length)));
    }
    end
}

fn model(field: Field<'_>, found: &mut Found) -> Result<(), Stop> {
    match (field.number, field.bytes()) {
        (7, Some(graph)) => walk_graph(graph, found, 0),
        (20, Some(training)) => fields(training, |field| match (field.number, field.bytes()) {
            (1 | 2, Some(graph)) => walk_graph(graph, found, 0),
            _ => Ok(()),
        }),
        (25, Some(function)) => walk_function(function, found),
        _ => Ok(()),
    }
}

fn walk_function(function: Window<'_>, found: &mut Found) -> Result<(), Stop> {
    let (mut domain, mut name) = (String::new(), String::new());
    fields(function, |field| {
        match (field.number, field.bytes()) {
            (1, Some(_)) => name = field.text()?,
            (10, Some(_)) => domain = field.text()?,
            (7, Some(node)) => walk_node(node, found, 1)?,
            (11, Some(attribute)) => walk_attribute(attribute, found, 1)?,
            _ => {}
        }
        Ok(())
    })?;
    found.functions.insert((domain, name));
    Ok(())
}

fn deeper(depth: usize) -> Result<usize, Stop> {
    if depth >= VALUE_DEPTH_MAX { malformed("graphs stand in graphs too deep") } else { Ok(depth + 1) }
}

fn walk_graph(graph: Window<'_>, found: &mut Found, depth: usize) -> Result<(), Stop> {
    let depth = deeper(depth)?;
    fields(graph, |field| match (field.number, field.bytes()) {
        (1, Some(node)) => walk_node(node, found, depth),
        (5, Some(tensor)) => walk_tensor(tensor, found),
        (15, Some(sparse)) => walk_sparse(sparse, found),
        _ => Ok(()),
    })
}

fn walk_node(node: Window<'_>, found: &mut Found, depth: usize) -> Result<(), Stop> {
    let (mut operator, mut domain) = (String::new(), String::new());
    fields(node, |field| {
        match (field.number, field.bytes()) {
            (4, Some(_)) => operator = field.text()?,
            (7, Some(_)) => domain = field.text()?,
            (5, Some(attribute)) => walk_attribute(attribute, found, depth)?,
            _ => {}
        }
        Ok(())
    })?;
    found.operators.insert((domain, operator));
    Ok(())
}

fn walk_attribute(attribute: Window<'_>, found: &mut Found, depth: usize) -> Result<(), Stop> {
    fields(attribute, |field| match (field.number, field.bytes()) {
        (5 | 10, Some(tensor)) => walk_tensor(tensor, found),
        (6 | 11, Some(graph)) => walk_graph(graph, found, depth),
        (22 | 23, Some(sparse)) => walk_sparse(sparse, found),
        _ => Ok(()),
    })
}

fn walk_sparse(sparse: Window<'_>, found: &mut Found) -> Result<(), Stop> {
    fields(sparse, |field| match (field.number, field.bytes()) {
        (1 | 2, Some(tensor)) => walk_tensor(tensor, found),
        _ => Ok(()),
    })
}

/// Only the place of its bytes matters.
fn walk_tensor(tensor: Window<'_>, found: &mut Found) -> Result<(), Stop> {
    let (mut location, mut offset, mut length) = (None, 0, None);
    fields(tensor, |field| {
        let (13, Some(pair)) = (field.number, field.bytes()) else { return Ok(()) };
        let (mut key, mut value) = (String::new(), String::new());
        fields(pair, |field| {
            match field.number {
                1 => key = field.text()?,
                2 => value = field.text()?,
                _ => {}
            }
            Ok(())
        })?;
        match (key.as_str(), value.parse::<u64>()) {
            ("location", _) => {
                if let Some(other) = location.replace(value) {
                    found.odd_locations.insert(other);
                }
            }
            ("offset", Ok(number)) => offset = number,
            ("length", Ok(number)) => length = Some(number),
            ("offset" | "length", Err(_)) => {
                found.odd_locations.insert(format!("{key} {value}"));
            }
            ("checksum" | "basepath", _) => {}
            _ => {
                found.odd_locations.insert(key);
            }
        }
        Ok(())
    })?;
    if let Some(location) = location {
        found.locations.entry(location).or_default().push((offset, length));
    }
    Ok(())
}
