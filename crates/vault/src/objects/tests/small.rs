//! Small objects: in the database by the commit of their row, gone by the commit that takes it.

use gate::Outcome;

use super::super::small::{self, SMALL_BYTES_MAX};
use super::*;
use crate::db::{Bind, Reader, Writer};

const NAMING: &str = "data_file";

/// Gives an object a row, in a commit of its own.
fn named(writer: &mut Writer<'_>, path: &str, object: &StoredObject) -> Result<(), Problem> {
    let mut binds: Vec<Bind<'_>> = vec!["v1".into(), path.into()];
    binds.extend(object.keep(writer)?);
    let sql = format!("INSERT INTO {NAMING} (version_id, path, {OBJECT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    writer.execute(&sql, &binds)?;
    Ok(())
}

fn unnamed(writer: &mut Writer<'_>, path: &str) -> Result<Vec<ObjectId>, Problem> {
    let sql = format!("DELETE FROM {NAMING} WHERE path = $1 RETURNING object_id");
    let ids = writer.query(&sql, &[path.into()], |row| row.text(0))?;
    ids.iter().map(|id| ObjectId::parse(id)).collect()
}

impl Bed {
    /// Names `object`, instead of what `path` named. `refused` after that, if it is to be.
    async fn name(&self, path: &'static str, object: &StoredObject, refused: bool) -> Result<(), Problem> {
        let (objects, db, object) = (self.objects.clone(), self.db.clone(), object.clone());
        let work = move |permit| async move {
            let new = vec![object.id.clone()];
            let change = move |writer: &mut Writer<'_>| {
                let old = unnamed(writer, path)?;
                named(writer, path, &object)?;
                if refused { Err(Problem::invalid("refused")) } else { Ok((((), old), Outcome::done())) }
            };
            objects.commit(&db, &permit, new, change).await
        };
        self.gate.permit_for(GateTarget::Workspace, work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let db = self.db.clone();
        self.gate.permit_for(GateTarget::Workspace, move |permit| async move { db.read(&permit, work).await }).await
    }

    async fn change(&self, sql: &'static str) -> Result<(), Problem> {
        self.objects.keys.system().write(move |writer| Ok(writer.execute(sql, &[]).map(drop)?)).await
    }

    /// What a row keeps of the object at `path`.
    async fn found(&self, path: &'static str) -> StoredObject {
        let sql = format!("SELECT {OBJECT_COLUMNS} FROM {NAMING} WHERE path = $1");
        let read =
            move |reader: &mut Reader<'_>| Ok(reader.query_one(&sql, &[path.into()], |row| StoredObject::from_row(row, 0))?);
        self.read(read).await.unwrap().unwrap()
    }

    async fn kept_count(&self) -> i64 {
        let count = |reader: &mut Reader<'_>| Ok(reader.query_one("SELECT COUNT(*) FROM small_object", &[], |row| row.int(0))?);
        self.read(count).await.unwrap().unwrap_or_default()
    }
}

#[tokio::test]
async fn small_objects_come_with_their_row_and_larger_ones_as_files() {
    let bed = small_bed().await;
    let mut files = 0;
    for (seed, size) in [0, 1, 1_000, SMALL_BYTES_MAX - 1, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, 70_000].into_iter().enumerate() {
        let plain = noise(seed as u64, size);
        let object = bed.put_body("w1", chunks(&plain, 5_000), LIMIT).await.unwrap();
        assert!(bed.whole(&object).await.unwrap() == plain, "{size}: before its row");
        files += usize::from(size > SMALL_BYTES_MAX);
        assert_eq!(bed.files(), files, "{size}");
        let kept = bed.kept_count().await;
        bed.name("a", &object, false).await.unwrap();
        assert_eq!(bed.kept_count().await, i64::from(size <= SMALL_BYTES_MAX), "{size}: instead of the {kept} before");
        files = usize::from(size > SMALL_BYTES_MAX);
        assert_eq!(bed.files(), files, "{size}: the one before went");
        let found = bed.found("a").await;
        assert_eq!(found, StoredObject { fresh: None, ..object });
        bed.verify(&found).await.unwrap();
        assert!(bed.whole(&found).await.unwrap() == plain, "{size}");
        let (from, to) = (size / 3, size - size / 4);
        assert!(bed.get(&found, from as u64..to as u64).await.unwrap() == plain[from..to], "{size}");
        assert!(bed.get(&found, 0..size as u64 + 1).await.is_err(), "{size}");
    }
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_and_what_nothing_names_is_swept() {
    let bed = small_bed().await;
    let (first, second) = (bed.put(b"first").await, bed.put(b"second").await);
    bed.name("a", &first, false).await.unwrap();
    assert_eq!(bed.name("a", &second, true).await.unwrap_err().message(), "refused");
    assert_eq!(bed.kept_count().await, 1);
    assert_eq!(bed.whole(&bed.found("a").await).await.unwrap(), b"first");
    assert_eq!(bed.read(|reader| small_orphans(reader, &[NAMING])).await.unwrap(), []);
    let outside = |reader: &mut Reader<'_>| {
        let sql = format!("SELECT object_id FROM {NAMING} WHERE {}", stored_outside(NAMING));
        Ok(reader.query(&sql, &[], |row| row.text(0))?)
    };
    assert_eq!(bed.read(outside).await.unwrap(), Vec::<String>::new());
    bed.change("DELETE FROM data_file").await.unwrap();
    assert_eq!(bed.read(|reader| small_orphans(reader, &[NAMING])).await.unwrap(), std::slice::from_ref(&first.id));
    let known = StoredObject { fresh: None, ..first };
    bed.objects.keys.system().write(|writer| Ok(small::forget(writer, vec![known.id])?)).await.unwrap();
    assert_eq!(bed.kept_count().await, 0);
}

#[tokio::test]
async fn small_objects_that_were_changed_or_taken_away_are_refused() {
    let bed = small_bed().await;
    let plain = noise(11, 900);
    let object = bed.put(&plain).await;
    let sealed = object.fresh.clone().unwrap();
    assert!(!sealed.windows(20).any(|window| window == &plain[..20]), "nothing readable is kept");
    bed.name("a", &object, false).await.unwrap();
    let found = bed.found("a").await;
    assert!(bed.change("UPDATE small_object SET sealed = object_id").await.is_err(), "an object is never changed");
    for place in 0..sealed.len() {
        let mut changed = sealed.to_vec();
        changed[place] ^= 1 << (place % 8);
        let lying = StoredObject { fresh: Some(Bytes::from(changed)), ..found.clone() };
        assert_eq!(bed.verify(&lying).await.unwrap_err().kind(), Kind::Internal, "byte {place}");
    }
    for cut in [0, HEADER_BYTES, sealed.len() - 1] {
        let lying = StoredObject { fresh: Some(sealed.slice(..cut)), ..found.clone() };
        assert_eq!(bed.verify(&lying).await.unwrap_err().kind(), Kind::Internal, "cut at {cut}");
    }
    assert!(bed.change("DELETE FROM small_object").await.is_err(), "a version names it");
    bed.change("DROP TRIGGER small_object_stays").await.unwrap();
    bed.change("DELETE FROM small_object").await.unwrap();
    assert!(bed.whole(&found).await.unwrap_err().message().contains("missing"));
    // What is in the database in the place of another does not open.
    let other = bed.put(&noise(12, 900)).await;
    let lying = StoredObject { fresh: other.fresh, ..found };
    assert_eq!(bed.whole(&lying).await.unwrap_err().kind(), Kind::Internal);
}

#[tokio::test]
async fn small_objects_of_older_servers_are_read_from_their_files() {
    let mut bed = bed().await;
    let object = bed.put(b"a file of its own").await;
    assert_eq!((bed.files(), object.fresh.is_none()), (1, true));
    bed.objects.keeps_small = true;
    assert_eq!(bed.whole(&object).await.unwrap(), b"a file of its own");
    bed.name("a", &object, false).await.unwrap();
    assert_eq!(bed.kept_count().await, 0);
    bed.name("a", &bed.put(b"instead of it").await, false).await.unwrap();
    assert_eq!((bed.files(), bed.kept_count().await), (0, 1));
}

#[tokio::test]
async fn a_small_body_that_breaks_off_or_is_too_large_stores_nothing() {
    let bed = small_bed().await;
    let broken: Vec<Result<Bytes, Problem>> = vec![Ok(Bytes::from_static(b"half")), Err(Problem::invalid("broke off"))];
    assert_eq!(bed.put_body("w1", Box::pin(stream::iter(broken)), LIMIT).await.unwrap_err().message(), "broke off");
    assert_eq!(bed.put_body("w1", chunks(&noise(1, 1_000), 100), 999).await.unwrap_err().kind(), Kind::TooLarge);
    assert_eq!((bed.files(), bed.kept_count().await), (0, 0));
}
