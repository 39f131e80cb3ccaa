//! Reads local files as one table, on two threads, and says what was found and how fast: `cargo run --release -p tables
//! --example scan -- FILES`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tables::{DataFile, LocalFile, ReadOptions, Table, TableError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for argument in std::env::args().skip(1) {
        let bytes = Arc::new(LocalFile::open(Path::new(&argument))?);
        files.push(DataFile { path: argument.trim_start_matches('/').to_owned(), bytes });
    }
    let began = Instant::now();
    let table = Table::open(files, &ReadOptions::default())?;
    println!(
        "{}: {} rows in {} partitions, opened in {:?}",
        table.format(),
        table.row_count(),
        table.partitions().len(),
        began.elapsed()
    );
    for field in table.schema().fields() {
        println!("  {}: {}", field.name(), field.data_type());
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<usize, TableError> {
        let mut batches = 0;
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            if partition >= table.partitions().len() {
                return Ok(batches);
            }
            for batch in table.read(partition, None)? {
                std::hint::black_box(batch?);
                batches += 1;
            }
        }
    };
    let began = Instant::now();
    let batches = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).sum::<Result<usize, TableError>>()
    })?;
    println!("{batches} batches read in {:?}", began.elapsed());
    for note in table.notes().notes {
        println!("  {:?} {:?} × {}: {}", note.kind, note.column.or(note.file), note.count, note.text);
    }
    Ok(())
}
