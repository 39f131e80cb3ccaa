//! Pages of a bucket of a million objects, asked for over TLS like any client does.

use std::path::Path;
use std::process::Command;

use crate::bench::Row;
use crate::bench_objects::{Extent, Programs, memory, number, reset_peak};
use crate::shell;

const OBJECT_COUNT: u64 = 1_000_000;
const SMALL_OBJECT_COUNT: u64 = 25_000;
/// Common prefixes of the bucket; as many objects are below each.
const PREFIX_COUNT: u64 = 2_500;
const PAGE_COUNT: u64 = 1_000;
/// What the issue asks for: a page, and memory that stays.
const PAGE_MS_MAX: f64 = 20.0;
const GROWTH_MIB_MAX: f64 = 16.0;

/// Seeds a bucket in a fresh server's database, and measures pages of it.
///
/// # Errors
/// If it cannot be seeded or listed.
pub fn rows(programs: &Programs, folder: &Path, extent: Extent) -> Result<Vec<Row>, String> {
    let count = if extent.is_small { SMALL_OBJECT_COUNT } else { OBJECT_COUNT };
    let (side, service) = programs.ours(folder)?;
    programs.load(&side, &["s3-make-bucket"])?;
    drop(service);
    shell::say(&format!("seeding {count} objects"));
    let seed = programs.path("examples").join("bench_listing");
    let database = folder.join("data").join("db").join("strongroom.db");
    shell::quiet(Command::new(seed).arg(&database).args(["bench", &count.to_string(), &PREFIX_COUNT.to_string()]))?;
    let service = programs.serve(folder)?;
    let seconds = if extent.is_small { "1" } else { "3" };
    let each = count / PREFIX_COUNT;
    let key = |number: u64| format!("shard-{}/{}.bin", 10_000 + number / each, 10_000_000 + number);
    let prefix = |number: u64| format!("shard-{}/", 10_000 + number);
    let mut rows = Vec::new();
    for (place, object, shard) in [
        ("first", None, None),
        ("middle", Some(count / 2), Some(PREFIX_COUNT / 2 - PAGE_COUNT / 2)),
        ("last", Some(count - PAGE_COUNT - 1), Some(PREFIX_COUNT - PAGE_COUNT - 1)),
    ] {
        let pages = [("", object.map(key), ""), ("-prefixes", shard.map(prefix), "/")];
        for (suffix, after, delimiter) in pages {
            let after = after.unwrap_or_default();
            let words = ["s3-list", "--seconds", seconds, "--after", &after, "--delimiter", delimiter];
            let report = programs.load(&side, &words)?;
            let (middle, p99) = (number(&report, "p50_ms"), number(&report, "p99_ms"));
            let work = format!("list-1m-{place}{suffix}");
            shell::say(&format!("{work}: {middle:.2} ms, p99 {p99:.2} ms"));
            let limited_by =
                format!("{count} objects, p99 {p99:.1} ms; the record's flush before the answer, and the page's XML");
            rows.push(row(work, middle, ("ms", PAGE_MS_MAX), limited_by));
        }
    }
    // Caches are full after a first walk over everything.
    programs.load(&side, &["s3-walk"])?;
    let before = memory(service.id(), "VmRSS");
    reset_peak(service.id());
    let walked = programs.load(&side, &["s3-walk"])?;
    if (number(&walked, "value") - count as f64).abs() > 0.5 {
        return Err(format!("a walk over {count} objects found {}", number(&walked, "value")));
    }
    let growth = (memory(service.id(), "VmHWM") - before).max(0.0);
    let limited_by = format!(
        "growth in a second walk over all pages; {before:.0} MiB before, slowest page {:.0} ms",
        number(&walked, "slowest_ms")
    );
    rows.push(row("list-1m-memory".to_owned(), growth, ("MiB", GROWTH_MIB_MAX), limited_by));
    Ok(rows)
}

fn row(work: String, ours: f64, (unit, limit): (&'static str, f64), limited_by: String) -> Row {
    let of_limit = limit / ours.max(0.1);
    Row { work: work.into(), ours, peer: None, unit, ratio: None, limit, of_limit, limited_by: limited_by.into() }
}
