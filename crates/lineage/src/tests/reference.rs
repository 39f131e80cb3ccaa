//! Walks over graphs that a seed makes, beside one that is written down as plainly as can be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vault::db::Bind;

use super::{World, on_both_engines};
use crate::Trust;
use crate::walk::{Direction, walk};

/// From the later end to the earlier one, and whether it was observed.
type Edge = (i64, i64, bool);

/// A graph in layers: what lies in one stems from some of the layer before, a few from anything.
struct Layers {
    count: i64,
    size: i64,
    /// Between the numbers of neighbours in a layer: one for a run of numbers.
    apart: i64,
}

impl Layers {
    fn number(&self, layer: i64, place: i64) -> i64 {
        1 + (layer * self.size + place) * self.apart
    }

    fn edges(&self, seed: u64) -> Vec<Edge> {
        let mut state = seed;
        let mut below = |limit: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 33).unwrap() % limit
        };
        let mut edges = Vec::new();
        for layer in 1..self.count {
            for place in 0..self.size {
                for _ in 0..2 {
                    edges.push((self.number(layer, place), self.number(layer - 1, below(self.size)), below(3) > 0));
                }
                if below(10) == 0 {
                    let anything = self.number(below(self.count), below(self.size));
                    edges.push((self.number(layer, place), anything, below(2) > 0));
                }
            }
        }
        edges
    }
}

/// What is reached, with its distance and whether there is a way of observed steps.
fn expected(edges: &[Edge], root: i64, direction: Direction, depth_max: u32) -> BTreeMap<i64, (u32, Trust)> {
    let mut onward: BTreeMap<i64, Vec<(i64, bool)>> = BTreeMap::new();
    for (from, to, observed) in edges {
        let (near, far) = if direction == Direction::Up { (from, to) } else { (to, from) };
        onward.entry(*near).or_default().push((*far, *observed));
    }
    let mut depths = BTreeMap::from([(root, 0_u32)]);
    let mut queue = VecDeque::from([root]);
    while let Some(near) = queue.pop_front() {
        let depth = depths[&near] + 1;
        for (far, _) in onward.get(&near).into_iter().flatten().filter(|_| depth <= depth_max) {
            if !depths.contains_key(far) {
                depths.insert(*far, depth);
                queue.push_back(*far);
            }
        }
    }
    let mut sure = BTreeSet::from([root]);
    queue.push_back(root);
    while let Some(near) = queue.pop_front() {
        let is_gone_on_from = depths[&near] < depth_max;
        for (far, _) in onward.get(&near).into_iter().flatten().filter(|(_, observed)| *observed && is_gone_on_from) {
            if sure.insert(*far) {
                queue.push_back(*far);
            }
        }
    }
    let trust = |number: &i64| if sure.contains(number) { Trust::Observed } else { Trust::Claimed };
    depths.into_iter().filter(|(number, _)| *number != root).map(|(number, depth)| (number, (depth, trust(&number)))).collect()
}

fn check(layers: &Layers, seed: u64) {
    let edges = layers.edges(seed);
    let (first, last) = (layers.number(0, 0), layers.number(layers.count - 1, 0));
    on_both_engines(|world| {
        let edges = edges.clone();
        async move {
            put(&world, edges.clone()).await;
            for (root, direction) in [(first, Direction::Down), (last, Direction::Up)] {
                for depth_max in [None, Some(1), Some(3), Some(70)] {
                    let read = move |reader: &mut vault::db::Reader<'_>| Ok(walk(reader, &[root], direction, depth_max)?);
                    let walked = world.system.read(read).await.unwrap();
                    assert!(walked.reached.is_sorted_by_key(|reach| reach.depth) && !walked.truncated);
                    let found: BTreeMap<_, _> =
                        walked.reached.iter().map(|reach| (reach.number, (reach.depth, reach.trust))).collect();
                    assert_eq!(found.len(), walked.reached.len(), "nothing twice");
                    let whole = expected(&edges, root, direction, u32::MAX);
                    let expected = expected(&edges, root, direction, depth_max.unwrap_or(u32::MAX));
                    assert_eq!(
                        walked.leads_on,
                        whole.len() > expected.len(),
                        "what lies further away is told of: {depth_max:?} {seed}"
                    );
                    assert!(found == expected, "{} {direction:?} {depth_max:?} {seed}", world.engine);
                }
            }
        }
    });
}

async fn put(world: &World, edges: Vec<Edge>) {
    let write = move |writer: &mut vault::db::Writer<'_>| {
        let trust = |observed: bool| if observed { Trust::Observed } else { Trust::Claimed }.word();
        let binds = edges.iter().map(|(from, to, observed)| vec![Bind::from(*from), (*to).into(), trust(*observed).into()]);
        writer.execute_many(
            "INSERT INTO lineage_edge (from_node, to_node, relation, trust, detail, at, entry)
             VALUES ($1, $2, 'derived', $3, '', 0, 'x') ON CONFLICT DO NOTHING",
            binds,
        )?;
        Ok(())
    };
    world.system.write(write).await.unwrap();
}

#[test]
fn small_graphs_are_walked_as_written_down() {
    for seed in 1..=5 {
        check(&Layers { count: 6, size: 20, apart: 1 }, seed);
    }
}

#[test]
fn wide_layers_of_numbers_that_follow_each_other_are_too() {
    check(&Layers { count: 6, size: 600, apart: 1 }, 1);
}

#[test]
fn wide_layers_of_scattered_numbers_are_too() {
    check(&Layers { count: 6, size: 400, apart: 3 }, 2);
}

#[test]
fn more_layers_than_are_fetched_one_by_one_are_too() {
    check(&Layers { count: 90, size: 15, apart: 2 }, 3);
}
