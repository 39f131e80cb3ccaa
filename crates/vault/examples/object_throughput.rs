//! How fast objects are stored and read on this machine: `cargo run -p vault --example object_throughput -- FOLDER`.
#![expect(clippy::unwrap_used, reason = "a measurement may break off")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::Target;
use kernel::SystemClock;
use vault::db::{Location, open};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

const SIZE: usize = 400 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

#[tokio::main]
async fn main() {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::tempdir_in(parent).unwrap();
    let opened = open(&Location::Sqlite(folder.path().join("main.db"))).unwrap();
    let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
    let keys = Keyring::open(opened.system, Arc::new(root), Arc::new(SystemClock)).await.unwrap();
    let objects = Objects::local(&folder.path().join("objects"), keys).unwrap();
    let gate = testkit::open_gate();
    let piece = Bytes::from(vec![7_u8; PIECE]);
    for _ in 0..4 {
        let (objects, piece) = (objects.clone(), piece.clone());
        gate.permit_for(Target::Workspace, move |permit| async move {
            let body: Body = Box::pin(stream::iter((0..SIZE / PIECE).map(move |_| Ok(piece.clone()))));
            let start = Instant::now();
            let object = objects.put(&permit, "w", body, u64::MAX).await?;
            report("put", SIZE, start);
            let start = Instant::now();
            let mut body = objects.open(&permit, &object, 0..object.size_bytes).await?;
            while let Some(bytes) = body.next().await {
                bytes?;
            }
            report("get", SIZE, start);
            objects.delete(&permit, vec![object.id]).await
        })
        .await
        .unwrap();
    }
    let start = Instant::now();
    for _ in 0..200 {
        let (objects, piece) = (objects.clone(), piece.clone());
        let put = move |permit| async move { objects.put(&permit, "w", Box::pin(stream::iter([Ok(piece)])), u64::MAX).await };
        gate.permit_for(Target::Workspace, put).await.unwrap();
    }
    println!("put 64 KiB: {:.2} ms each", start.elapsed().as_secs_f64() * 1_000.0 / 200.0);
}

fn report(what: &str, size: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {:.0} MB/s", size as f64 / 1e6 / seconds);
}
