//! A walk as a picture: a column a step, claimed edges dashed. It needs nothing but itself, and runs nothing.

use std::collections::HashMap;

use crate::ops::Walked;
use crate::text::{clean, described, noun};
use crate::types::{Node, NodeKind, Trust};
use crate::walk::Direction;

/// Things that are drawn.
const NODE_COUNT_MAX: usize = 200;
/// Letters of a name.
const NAME_CHARS_MAX: usize = 30;
const BOX_WIDTH: usize = 230;
const BOX_HEIGHT: usize = 40;
const COLUMN_WIDTH: usize = 310;
const ROW_HEIGHT: usize = 56;
const MARGIN: usize = 24;
const HEAD: usize = 56;

/// A thing and where it is drawn.
struct Placed<'a> {
    node: &'a Node,
    column: usize,
    row: usize,
}

impl Placed<'_> {
    const fn x(&self) -> usize {
        MARGIN + self.column * COLUMN_WIDTH
    }

    const fn y(&self) -> usize {
        HEAD + self.row * ROW_HEIGHT
    }
}

pub(crate) fn render(walked: &Walked) -> String {
    let placed = place(walked);
    let hidden = (walked.found.len() + walked.roots.len()).saturating_sub(placed.len());
    let columns = placed.iter().map(|one| one.column).max().unwrap_or(0) + 1;
    let mut rows = placed.iter().map(|one| one.row).max().unwrap_or(0) + 1;
    let last = if walked.direction == Direction::Up { 0 } else { columns - 1 };
    let more_row = placed.iter().filter(|one| one.column == last).count();
    if hidden > 0 {
        rows = rows.max(more_row + 1);
    }
    let (width, height) = (2 * MARGIN + (columns - 1) * COLUMN_WIDTH + BOX_WIDTH, HEAD + rows * ROW_HEIGHT + MARGIN);
    let title = match walked.direction {
        Direction::Up => format!("What {} stems from", walked.subject),
        Direction::Down => format!("What stems from {}", walked.subject),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\" fill=\"#1a1a1a\">{}</text>\n\
         <text x=\"{MARGIN}\" y=\"42\" fill=\"#555555\">{} things; solid: seen by the server, dashed: claimed by a client</text>\n",
        escaped(&title),
        escaped(&short(&title, 120)),
        walked.found.len()
    );
    edges(walked, &placed, &mut svg);
    for one in &placed {
        boxed(&mut svg, (one.x(), one.y()), fill(one.node.kind), noun(one.node.kind), &described(one.node));
    }
    if hidden > 0 {
        let at = (MARGIN + last * COLUMN_WIDTH, HEAD + more_row * ROW_HEIGHT);
        boxed(&mut svg, at, "#eeeeee", "not drawn", &format!("and {hidden} more"));
    }
    svg.push_str("</svg>\n");
    svg
}

/// The roots in the first column and everything else by its distance; within a column near what it hangs on. The way is read from
/// left to right, from the earlier to the later.
fn place(walked: &Walked) -> Vec<Placed<'_>> {
    let depth: HashMap<i64, usize> = walked.found.iter().map(|found| (found.number, found.depth as usize)).collect();
    let of = |node: &Node| depth.get(&node.number).copied().unwrap_or(0);
    let mut nodes: Vec<&Node> = walked.nodes.iter().collect();
    nodes.sort_by_key(|node| of(node));
    nodes.truncate(NODE_COUNT_MAX);
    let deepest = nodes.iter().map(|node| of(node)).max().unwrap_or(0);
    // The edges by their farther ends.
    let mut near: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in &walked.edges {
        let (from, to) = match walked.direction {
            Direction::Up => (&edge.to, &edge.from),
            Direction::Down => (&edge.from, &edge.to),
        };
        near.entry(from).or_default().push(to);
    }
    let mut rows: HashMap<&str, usize> = HashMap::new();
    let mut placed = Vec::new();
    for step in 0..=deepest {
        let mut column: Vec<(usize, &Node)> = nodes
            .iter()
            .filter(|node| of(node) == step)
            .map(|node| {
                let hangs_on: Vec<usize> =
                    near.get(node.id.as_str()).into_iter().flatten().filter_map(|id| rows.get(id).copied()).collect();
                let mean = hangs_on.iter().sum::<usize>().saturating_mul(16) / hangs_on.len().max(1);
                (mean, *node)
            })
            .collect();
        column.sort_by_key(|(mean, _)| *mean);
        for (row, (_, node)) in column.into_iter().enumerate() {
            rows.insert(&node.id, row);
            let column = if walked.direction == Direction::Up { deepest - step } else { step };
            placed.push(Placed { node, column, row });
        }
    }
    placed
}

fn edges(walked: &Walked, placed: &[Placed<'_>], svg: &mut String) {
    let by_id: HashMap<&str, &Placed<'_>> = placed.iter().map(|one| (one.node.id.as_str(), one)).collect();
    for edge in &walked.edges {
        let (Some(earlier), Some(later)) = (by_id.get(edge.to.as_str()), by_id.get(edge.from.as_str())) else { continue };
        let (x1, y1) = (earlier.x() + BOX_WIDTH, earlier.y() + BOX_HEIGHT / 2);
        let (x2, y2) = (later.x(), later.y() + BOX_HEIGHT / 2);
        let bend = COLUMN_WIDTH / 4;
        let dash = if edge.trust == Trust::Claimed { " stroke-dasharray=\"5 4\"" } else { "" };
        svg.push_str(&format!(
            "<path d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#777777\"{dash}><title>{} ({})</title></path>\n",
            x1 + bend,
            x2.saturating_sub(bend),
            edge.relation.word(),
            edge.trust.word()
        ));
    }
}

fn boxed(svg: &mut String, (x, y): (usize, usize), fill: &str, kind: &str, name: &str) {
    svg.push_str(&format!(
        "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"5\" fill=\"{fill}\" \
         stroke=\"#444444\"/><text x=\"{}\" y=\"{}\" font-size=\"10\" fill=\"#555555\">{}</text>\
         <text x=\"{}\" y=\"{}\" fill=\"#111111\">{}</text></g>\n",
        escaped(&clean(name)),
        x + 9,
        y + 15,
        escaped(kind),
        x + 9,
        y + 31,
        escaped(&short(&clean(name), NAME_CHARS_MAX))
    ));
}

const fn fill(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Run | NodeKind::Job => "#e3eefc",
        NodeKind::ModelVersion | NodeKind::LoggedModel => "#fde9d4",
        NodeKind::DataVersion | NodeKind::Dataset | NodeKind::DataSource => "#e2f4e4",
        NodeKind::Code => "#f2e8fb",
        NodeKind::Inspection => "#f5f3d7",
        NodeKind::Person | NodeKind::Owner => "#fbe4ec",
        NodeKind::Endpoint | NodeKind::Prediction => "#dff3f5",
    }
}

fn short(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// Text of an XML document: what has a meaning there is escaped, what may not stand there is left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wrote_cannot_leave_its_text() {
        assert_eq!(escaped("<a b='\"&\u{1}\u{ffff}>"), "&lt;a b=&#39;&quot;&amp;&gt;");
        assert_eq!(short("abcdef", 4), "abc…");
    }
}
