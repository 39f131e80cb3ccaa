//! Pages of objects, versions and uploads. A page reads as many rows as it gives out: what lies below a common prefix is jumped over.

use kernel::Problem;
use vault::db::{Bind, Reader};

use super::versions::{COLUMNS, from_row};
use crate::names::behind;
use crate::types::Version;

/// Rows that one step looks at, at most.
const STEP_COUNT_MAX: i64 = 256;

/// What is listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) prefix: String,
    pub(crate) delimiter: String,
    pub(crate) count: usize,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line<T> {
    One(T),
    /// All keys that begin so.
    Prefix(String),
}

/// A page and whether there is more.
pub(crate) struct Lines<T> {
    pub(crate) lines: Vec<Line<T>>,
    pub(crate) is_truncated: bool,
}

/// The common prefix of a key, if it has one.
fn common<'a>(wish: &Wish, key: &'a str) -> Option<&'a str> {
    if wish.delimiter.is_empty() {
        return None;
    }
    let rest = key.get(wish.prefix.len()..)?;
    let at = rest.find(&wish.delimiter)?;
    key.get(..wish.prefix.len() + at + wish.delimiter.len())
}

/// Where the next step begins.
#[derive(Clone, Debug)]
pub(crate) struct From {
    /// Keys from this one on.
    pub(crate) key: String,
    /// Of this very key only what has a greater rank; none for all.
    pub(crate) rank: Option<i64>,
    /// Whether the key itself is left out.
    pub(crate) is_exclusive: bool,
}

impl From {
    /// Behind a key that was given out, or behind a common prefix that was.
    pub(crate) fn behind(wish: &Wish, marker: &str) -> Option<Self> {
        match common(wish, marker).filter(|common| *common == marker) {
            Some(common) => Some(Self { key: behind(common)?, rank: None, is_exclusive: false }),
            None => Some(Self { key: marker.to_owned(), rank: None, is_exclusive: true }),
        }
    }
}

/// The newest versions that are no markers, by key.
pub(crate) fn objects(
    reader: &mut Reader<'_>,
    bucket_id: &str,
    wish: &Wish,
    from: Option<From>,
) -> Result<Lines<Version>, Problem> {
    walk(reader, bucket_id, wish, from, "is_latest = 1 AND is_marker = 0")
}

/// All versions and markers, by key, the newest of a key first.
pub(crate) fn versions(
    reader: &mut Reader<'_>,
    bucket_id: &str,
    wish: &Wish,
    from: Option<From>,
) -> Result<Lines<Version>, Problem> {
    walk(reader, bucket_id, wish, from, "1 = 1")
}

fn walk(
    reader: &mut Reader<'_>,
    bucket_id: &str,
    wish: &Wish,
    from: Option<From>,
    which: &str,
) -> Result<Lines<Version>, Problem> {
    let end = behind(&wish.prefix).unwrap_or_default();
    let below = if end.is_empty() { "($5 = '')" } else { "object_key < $5" };
    let start = From { key: wish.prefix.clone(), rank: None, is_exclusive: false };
    let mut from = match from {
        Some(from) if from.key.as_str() >= wish.prefix.as_str() => from,
        _ => start,
    };
    let mut lines = Vec::new();
    // Behind a common prefix mostly comes another one, of which one row is enough; where objects come, steps grow.
    let mut step = if wish.delimiter.is_empty() { i64::MAX } else { 1 };
    loop {
        // Equality and range apart, so that both engines walk the index.
        let compare = match (from.rank, from.is_exclusive) {
            (Some(_), _) => "(object_key, rank) > ($2, $3)",
            (None, true) => "object_key > $2 AND rank >= $3",
            (None, false) => "object_key >= $2 AND rank >= $3",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM bucket_version WHERE bucket_id = $1 AND {compare} AND {below} AND {which}
             ORDER BY object_key, rank LIMIT $4"
        );
        let left = wish.count.saturating_sub(lines.len()).saturating_add(1);
        let limit = i64::try_from(left).unwrap_or(STEP_COUNT_MAX).min(step);
        let binds: [Bind<'_>; 5] =
            [bucket_id.into(), (&from.key).into(), from.rank.unwrap_or(i64::MIN).into(), limit.into(), (&end).into()];
        let rows = reader.query(&sql, &binds, from_row)?;
        let is_last = i64::try_from(rows.len()).unwrap_or(limit) < limit;
        let mut jumped = None;
        for version in rows {
            let prefix = common(wish, &version.key).map(ToOwned::to_owned);
            if lines.len() >= wish.count {
                return Ok(Lines { lines, is_truncated: true });
            }
            from = From { key: version.key.clone(), rank: Some(version.rank), is_exclusive: false };
            if let Some(prefix) = prefix {
                jumped = Some(behind(&prefix));
                lines.push(Line::Prefix(prefix));
                break;
            }
            lines.push(Line::One(version));
        }
        match jumped {
            Some(Some(key)) => {
                from = From { key, rank: None, is_exclusive: false };
                step = 1;
            }
            // Nothing sorts behind the prefix.
            Some(None) => return Ok(Lines { lines, is_truncated: false }),
            None if is_last => return Ok(Lines { lines, is_truncated: false }),
            None => step = step.saturating_mul(2).min(step.max(STEP_COUNT_MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use vault::db::Writer;

    fn keys() -> BTreeSet<String> {
        let below = (0..40).flat_map(|folder| (0..=folder % 7).map(move |file| format!("d{folder:02}/f{file}")));
        let beside = (0..700).map(|file| format!("m{file:03}"));
        let odd = ["a", "a/", "a//", "a/b/c", "d05", "d05/", "z/", "z/\u{10ffff}", "\u{e4}/x"].map(ToOwned::to_owned);
        below.chain(beside).chain(odd).collect()
    }

    fn fill(writer: &mut Writer<'_>) -> Result<(), Problem> {
        writer.execute(
            "INSERT INTO bucket (id, name, workspace, versioning, created_at, created_by) VALUES ('b', 'b', 'w', 'off', 0, 'x')",
            &[],
        )?;
        for key in keys() {
            writer.execute(
                "INSERT INTO bucket_version (id, bucket_id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag,
                     attributes, tags, part_count, created_at, created_by)
                 VALUES ($1, 'b', $1, -1, 'null', 1, 0, 0, '', '{}', '', 1, 0, 'x')",
                &[(&key).into()],
            )?;
        }
        Ok(())
    }

    /// What a listing of everything must have, made the plain way.
    fn expected(prefix: &str, delimiter: &str) -> Vec<String> {
        let wish = Wish { prefix: prefix.to_owned(), delimiter: delimiter.to_owned(), count: 0 };
        let below = keys().into_iter().filter(|key| key.starts_with(prefix));
        let mut lines: Vec<String> = below.map(|key| common(&wish, &key).unwrap_or(&key).to_owned()).collect();
        lines.dedup();
        lines
    }

    fn listed(reader: &mut Reader<'_>, prefix: &str, delimiter: &str, count: usize) -> Result<Vec<String>, Problem> {
        let wish = Wish { prefix: prefix.to_owned(), delimiter: delimiter.to_owned(), count };
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = objects(reader, "b", &wish, from)?;
            let lines = page.lines.into_iter().map(|line| match line {
                Line::One(version) => version.key,
                Line::Prefix(prefix) => prefix,
            });
            all.extend(lines);
            if !page.is_truncated {
                return Ok(all);
            }
            from = From::behind(&wish, all.last().unwrap());
        }
    }

    #[test]
    fn pages_of_any_length_have_every_object_and_prefix_once() {
        testkit::on_both_engines("listing", async |engine| {
            let opened = vault::db::open(&engine.location).unwrap();
            opened.system.write(fill).await.unwrap();
            for prefix in ["", "d", "d05", "d05/", "m1", "a/", "z", "none"] {
                for delimiter in ["", "/", "0"] {
                    for count in [1, 3, 257, 1_000] {
                        let list = move |reader: &mut Reader<'_>| listed(reader, prefix, delimiter, count);
                        let found = opened.system.read(list).await.unwrap();
                        assert_eq!(found, expected(prefix, delimiter), "{prefix:?} {delimiter:?} {count}, {}", engine.name);
                    }
                }
            }
        });
    }
}
