//! The tree of RFC 6962 (section 2.1) over SHA-256: hashes, proofs and their checks. Pure.
//!
//! A leaf is `SHA-256(0x00 ‖ entry)`, a node `SHA-256(0x01 ‖ left ‖ right)`.

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::error::AuditError;

/// A SHA-256 hash of a leaf, a node or a tree.
pub type Hash = [u8; 32];

/// Hashes in a proof, at most: a tree of 2^63 leaves needs no more.
pub const PROOF_HASH_COUNT_MAX: usize = 63;

fn to_hash(bytes: &[u8]) -> Hash {
    let mut hash = [0_u8; 32];
    for (to, from) in hash.iter_mut().zip(bytes) {
        *to = *from;
    }
    hash
}

/// The hash of an entry as a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(entry);
    to_hash(context.finish().as_ref())
}

/// The hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1_u8; 65];
    for (to, from) in bytes.iter_mut().skip(1).zip(left.iter().chain(right)) {
        *to = *from;
    }
    to_hash(digest(&SHA256, &bytes).as_ref())
}

/// The root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    to_hash(digest(&SHA256, &[]).as_ref())
}

/// The root over `hashes`, which are leaves or the roots of equally high full subtrees.
#[must_use]
pub fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        more => {
            let split = split_of(more.len() as u64);
            let (left, right) = more.split_at(usize::try_from(split).unwrap_or(0));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The largest power of two below `size`, for a size of 2 or more.
const fn split_of(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// Gives the hash of a full subtree: `2^height` leaves from leaf `index << height` on.
pub trait NodeSource {
    /// The hash of that subtree.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be read.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, AuditError>;
}

/// The root over the leaves `from..to`.
///
/// # Errors
/// As the source's.
pub fn range_root(nodes: &mut impl NodeSource, from: u64, to: u64) -> Result<Hash, AuditError> {
    let size = to.saturating_sub(from);
    if size == 0 {
        return Ok(empty_root());
    }
    if size.is_power_of_two() && from.is_multiple_of(size) {
        let height = size.trailing_zeros();
        return nodes.node(height, from >> height);
    }
    let middle = from.saturating_add(split_of(size));
    let left = range_root(nodes, from, middle)?;
    let right = range_root(nodes, middle, to)?;
    Ok(node_hash(&left, &right))
}

/// The audit path of leaf `index` in the tree of `size` leaves (RFC 6962, section 2.1.1), lowest first.
///
/// # Errors
/// `NoSuchRecord` if the tree has no such leaf; else as the source's.
pub fn inclusion_proof(nodes: &mut impl NodeSource, index: u64, size: u64) -> Result<Vec<Hash>, AuditError> {
    if index >= size {
        return Err(AuditError::NoSuchRecord(index.to_string()));
    }
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split_of(to - from);
        if index < middle {
            path.push(range_root(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range_root(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes of all that lies outside the leaves `from..to` of the tree of `size` leaves, left to right: with the leaves themselves they give the
/// root, so nobody can leave one of them out.
///
/// # Errors
/// `NoSuchRecord` if the tree has no such leaves; else as the source's.
pub fn stretch_proof(nodes: &mut impl NodeSource, from: u64, to: u64, size: u64) -> Result<Vec<Hash>, AuditError> {
    if from >= to || to > size {
        return Err(AuditError::NoSuchRecord(format!("{from}..{to}")));
    }
    let mut outside = Vec::new();
    let mut open = vec![(0, size)];
    while let Some((left, right)) = open.pop() {
        if right <= from || left >= to {
            outside.push(range_root(nodes, left, right)?);
        } else if left < from || right > to {
            let middle = left + split_of(right - left);
            open.push((middle, right));
            open.push((left, middle));
        }
    }
    Ok(outside)
}

/// Whether `leaves`, from leaf `from` on, are a stretch of the tree of `size` leaves under `root`, without a gap.
#[must_use]
pub fn stretch_holds(leaves: &[Hash], from: u64, size: u64, outside: &[Hash], root: &Hash) -> bool {
    let to = from.saturating_add(leaves.len() as u64);
    if leaves.is_empty() || to > size || outside.len() > 2 * PROOF_HASH_COUNT_MAX {
        return false;
    }
    let mut rest = outside.iter();
    stretch_root(leaves, from, (0, size), &mut rest).is_some_and(|found| found == *root) && rest.next().is_none()
}

/// The root of one part of the tree. No deeper than the tree is high.
fn stretch_root<'a>(
    leaves: &[Hash],
    from: u64,
    (left, right): (u64, u64),
    outside: &mut impl Iterator<Item = &'a Hash>,
) -> Option<Hash> {
    let to = from.saturating_add(leaves.len() as u64);
    if right <= from || left >= to {
        return outside.next().copied();
    }
    if left >= from && right <= to {
        let at = |index: u64| usize::try_from(index - from).ok();
        return leaves.get(at(left)?..at(right)?).map(root_of);
    }
    let middle = left + split_of(right - left);
    let one = stretch_root(leaves, from, (left, middle), outside)?;
    let other = stretch_root(leaves, from, (middle, right), outside)?;
    Some(node_hash(&one, &other))
}

/// The proof that the tree of `old` leaves is a prefix of that of `new` leaves (RFC 6962, section 2.1.2).
///
/// # Errors
/// `NoSuchRecord` if `old` is greater than `new`; else as the source's.
pub fn consistency_proof(nodes: &mut impl NodeSource, old: u64, new: u64) -> Result<Vec<Hash>, AuditError> {
    if old > new {
        return Err(AuditError::NoSuchRecord(old.to_string()));
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut from, mut to) = (0, new);
    let mut proof = Vec::new();
    // `whole` while the old tree's own root covers this range: the checker knows it already.
    let mut whole = true;
    while old != to {
        let middle = from + split_of(to - from);
        if old <= middle {
            proof.push(range_root(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(range_root(nodes, from, middle)?);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(range_root(nodes, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `path` shows `leaf` at `index` in the tree of `size` leaves with `root` (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn inclusion_holds(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree (`old`, `old_root`) is a prefix of (`new`, `new_root`) (RFC 9162, section 2.1.4.2).
#[must_use]
pub fn consistency_holds(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Leaves(Vec<Hash>);

    impl NodeSource for Leaves {
        fn node(&mut self, height: u32, index: u64) -> Result<Hash, AuditError> {
            let from = (index << height) as usize;
            Ok(root_of(&self.0[from..from + (1 << height)]))
        }
    }

    /// The recursive definition, word for word.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => empty_root(),
            1 => leaves[0],
            n => {
                let mut k = 1;
                while k * 2 < n {
                    k *= 2;
                }
                node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
            }
        }
    }

    fn leaves(count: u64) -> Leaves {
        Leaves((0..count).map(|i| leaf_hash(format!("entry {i}").as_bytes())).collect())
    }

    #[test]
    fn known_answers_of_rfc_6962_hold() {
        assert_eq!(kernel::hex(&empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(kernel::hex(&leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn every_inclusion_proof_holds_and_no_other_does() {
        for size in 1..70 {
            let mut tree = leaves(size);
            let root = naive_root(&tree.0);
            assert_eq!(range_root(&mut tree, 0, size).unwrap(), root);
            for index in 0..size {
                let path = inclusion_proof(&mut tree, index, size).unwrap();
                let leaf = tree.0[index as usize];
                assert!(inclusion_holds(&leaf, index, size, &path, &root), "{index} of {size}");
                assert!(!inclusion_holds(&leaf, index + 1, size, &path, &root));
                assert!(!inclusion_holds(&root, index, size, &path, &root) || size == 1);
                let mut longer = path.clone();
                longer.push(root);
                assert!(!inclusion_holds(&leaf, index, size, &longer, &root));
            }
            assert!(inclusion_proof(&mut tree, size, size).is_err());
        }
    }

    #[test]
    fn every_stretch_holds_and_none_with_a_gap() {
        for size in 1..40 {
            let mut tree = leaves(size);
            let root = naive_root(&tree.0);
            for from in 0..size {
                for to in from + 1..=size {
                    let outside = stretch_proof(&mut tree, from, to, size).unwrap();
                    let stretch = tree.0[from as usize..to as usize].to_vec();
                    assert!(stretch_holds(&stretch, from, size, &outside, &root), "{from}..{to} of {size}");
                    assert!(!stretch_holds(&stretch[1..], from, size, &outside, &root));
                    assert!(!stretch_holds(&stretch[1..], from + 1, size, &outside, &root));
                    let without_last = &stretch[..stretch.len() - 1];
                    assert!(!stretch_holds(without_last, from, size, &outside, &root));
                    let mut changed = stretch.clone();
                    changed[0] = leaf_hash(b"x");
                    assert!(!stretch_holds(&changed, from, size, &outside, &root));
                    let longer = [outside.as_slice(), &[root]].concat();
                    assert!(!stretch_holds(&stretch, from, size, &longer, &root));
                }
            }
        }
        assert!(stretch_proof(&mut leaves(5), 3, 3, 5).is_err() && stretch_proof(&mut leaves(5), 3, 6, 5).is_err());
    }

    #[test]
    fn every_consistency_proof_holds_and_no_other_does() {
        for new in 1..70 {
            let mut tree = leaves(new);
            let new_root = naive_root(&tree.0);
            for old in 0..=new {
                let old_root = naive_root(&tree.0[..old as usize]);
                let proof = consistency_proof(&mut tree, old, new).unwrap();
                assert!(consistency_holds(old, &old_root, new, &new_root, &proof), "{old} to {new}");
                if old > 0 && old < new {
                    assert!(!consistency_holds(old, &leaf_hash(b"x"), new, &new_root, &proof));
                    assert!(!consistency_holds(old, &old_root, new, &leaf_hash(b"x"), &proof));
                    assert!(!consistency_holds(old, &old_root, new, &new_root, &proof[..proof.len() - 1]));
                }
            }
        }
    }
}
