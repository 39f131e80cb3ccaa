//! The keys below the root key, made on first use, kept wrapped in the database, and unwrapped in memory only.

use std::collections::HashMap;
use std::sync::Arc;

use gate::{Outcome, Permit};
use kernel::{Clock, Kind, Micros, Problem, Secret, random_bytes};
use parking_lot::Mutex;
use tokio::sync::RwLock;

use super::store::{self, Purpose, WrappedKey};
use super::{KEY_BYTES, KeyService, destroy, join, life_store, wrap};
use crate::db::{Db, SystemDb};

/// Unwrapped keys held in memory. Beyond it all are forgotten (and wiped) and unwrapped again as they are needed.
const CACHED_KEY_COUNT_MAX: usize = 4_096;
/// The name of a secret or workspace.
const NAME_BYTES_MAX: usize = 128;

/// The server's keys. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    system: SystemDb,
    clock: Arc<dyn Clock>,
    /// Held for reading while a key is wrapped and written, so that no row under an old root can slip past its rotation.
    root: RwLock<Arc<dyn KeyService>>,
    cache: Mutex<Cache>,
}

/// How long a workspace's key is used before its row is looked for again: another server on the same database may have rotated or
/// destroyed it.
const BELIEVED_S: i64 = 30;

#[derive(Default)]
struct Cache {
    keys: HashMap<(Purpose, String, i64), Held>,
    newest: HashMap<(Purpose, String), (i64, Micros)>,
}

#[derive(Clone)]
struct Held {
    key: Arc<Secret>,
    until: Micros,
}

/// A key and its version.
#[derive(Clone, Debug)]
pub struct KeyAt {
    /// The version.
    pub version: i64,
    /// The key; wiped when its last holder is gone.
    pub key: Arc<Secret>,
}

/// An object's key as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKey {
    /// The key, wrapped by the workspace key.
    pub wrapped: Vec<u8>,
    /// The version of the workspace key.
    pub version: i64,
}

impl Keyring {
    /// The keys of the database behind `system`, under `root`.
    ///
    /// # Errors
    /// `Invalid` if this is not the root key that the database's keys were wrapped by.
    pub async fn open(system: SystemDb, root: Arc<dyn KeyService>, clock: Arc<dyn Clock>) -> Result<Self, Problem> {
        if let Some(row) = system.read(store::any).await? {
            unwrap_row(root.as_ref(), &row).await.map_err(|problem| {
                if problem.kind() == Kind::Unavailable {
                    return problem;
                }
                let (has, wants) = (root.name(), &row.root_name);
                let message = format!(
                    "the root key (`{has}`) is not the one (`{wants}`) that this database's keys were wrapped by: use the one of \
                     that time; a backup made before a rotation of the root key wants the old one"
                );
                Problem::invalid(message).because(problem)
            })?;
        }
        let cache = Mutex::new(Cache::default());
        Ok(Self(Arc::new(Inner { system, clock, root: RwLock::new(root), cache })))
    }

    /// 32 random bytes of the server's own under `name`: made on first use, then always the same.
    ///
    /// # Errors
    /// `Unavailable` if the database or the key service is down.
    pub async fn secret(&self, name: &str) -> Result<Arc<Secret>, Problem> {
        Ok(self.newest(Purpose::Secret, name).await?.key)
    }

    /// The key that wraps new object keys of `workspace`.
    ///
    /// # Errors
    /// `Unavailable` if the database or the key service is down.
    pub async fn workspace(&self, workspace: &str) -> Result<KeyAt, Problem> {
        self.newest(Purpose::Workspace, workspace).await
    }

    /// Wraps an object's key by its workspace's newest key. `place` says which object it is, and what is promised of it.
    ///
    /// # Errors
    /// `Unavailable` if the database or the key service is down.
    pub async fn wrap_object_key(&self, workspace: &str, place: &[u8], key: &Secret) -> Result<ObjectKey, Problem> {
        let by = self.workspace(workspace).await?;
        let wrapped = wrap::wrap(&by.key, key, &object_aad(workspace, by.version, place))?;
        Ok(ObjectKey { wrapped, version: by.version })
    }

    /// Unwraps an object's key.
    ///
    /// # Errors
    /// `Internal` if it was changed or belongs to another object; `Unavailable` if the database or key service is down.
    pub async fn unwrap_object_key(&self, workspace: &str, place: &[u8], key: &ObjectKey) -> Result<Secret, Problem> {
        let by = self.at(Purpose::Workspace, workspace, key.version).await?;
        wrap::unwrap(&by, &key.wrapped, &object_aad(workspace, key.version, place))
    }

    /// Seals what a room keeps in a row of its own. `place` says which row it is.
    ///
    /// # Errors
    /// `Unavailable` if the database or the key service is down.
    pub async fn seal(&self, workspace: &str, place: &[u8], plain: &Secret) -> Result<Vec<u8>, Problem> {
        let by = self.workspace(workspace).await?;
        let mut sealed = by.version.to_be_bytes().to_vec();
        sealed.append(&mut wrap::wrap(&by.key, plain, &row_place(workspace, by.version, place))?);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made, under whatever version of the workspace's key.
    ///
    /// # Errors
    /// `Internal` if it was changed or belongs to another row; `Unavailable` if the database or key service is down.
    pub async fn open_sealed(&self, workspace: &str, place: &[u8], sealed: &[u8]) -> Result<Secret, Problem> {
        let cut = || Problem::internal("something sealed does not open: it is too short", "no version of a key");
        let (version, wrapped) = sealed.split_first_chunk().ok_or_else(cut)?;
        let version = i64::from_be_bytes(*version);
        let by = self.at(Purpose::Workspace, workspace, version).await?;
        wrap::unwrap(&by, wrapped, &row_place(workspace, version, place))
    }

    /// Makes a new version of the workspace's key. New objects use it at once; the keys of old ones are wrapped anew by
    /// the rooms that hold their rows, at leisure: old versions still unwrap.
    ///
    /// # Errors
    /// `Conflict` if it is being rotated by somebody else; `Unavailable` if the database or key service is down.
    pub async fn rotate_workspace<O: ?Sized>(&self, db: &Db, permit: &Permit<O>, workspace: &str) -> Result<i64, Problem> {
        let old = self.workspace(workspace).await?.version;
        let root = self.0.root.read().await;
        let (row, key) = self.fresh(root.as_ref(), Purpose::Workspace, workspace, old.saturating_add(1)).await?;
        let version = row.version;
        let outcome = Outcome::done().with("key_version", version);
        db.write(permit, move |writer| {
            if let Some(tombstone) = life_store::tombstone(writer, &row.name)? {
                return Err(destroy::gone(&tombstone));
            }
            if !store::insert(writer, &row)? {
                return Err(Problem::new(Kind::Conflict, "this workspace's key is being rotated by somebody else"));
            }
            Ok(((), outcome))
        })
        .await?;
        self.remember(Purpose::Workspace, workspace, version, Arc::new(key));
        Ok(version)
    }

    /// Wraps every key anew by `new`, in one transaction. Gives how many. Data and object keys are untouched.
    ///
    /// # Errors
    /// `Unavailable` if the database or a key service is down; then the old root stays.
    pub async fn change_root<O: ?Sized>(&self, db: &Db, permit: &Permit<O>, new: Arc<dyn KeyService>) -> Result<usize, Problem> {
        let mut root = self.0.root.write().await;
        let rows = db.read(permit, store::all).await?;
        let mut pairs = Vec::with_capacity(rows.len());
        for old in rows {
            let key = unwrap_row(root.as_ref(), &old).await?;
            let mut row = old.clone();
            row.wrapped = new.wrap(&key, &row_aad(&old.purpose, &old.name, old.version)).await?;
            row.root_name = new.name().to_owned();
            row.root_version = new.version();
            pairs.push((old, row));
        }
        let count = pairs.len();
        let (root_name, root_version, at) = (new.name().to_owned(), new.version(), self.now());
        let outcome = Outcome::done().with("rewrapped_count", count).with("root_version", new.version());
        db.write(permit, move |writer| {
            for (old, row) in &pairs {
                if !store::rewrap(writer, old, row)? {
                    return Err(Problem::new(Kind::Conflict, "a key changed while the root was being rotated; try again"));
                }
            }
            life_store::note_root(writer, &root_name, root_version, at)?;
            if store::all(writer)?.len() != pairs.len() {
                return Err(Problem::new(Kind::Conflict, "a key was made while the root was being rotated; try again"));
            }
            Ok(((), outcome))
        })
        .await?;
        *root = new;
        Ok(count)
    }

    /// The database, for what is no act of anybody's.
    pub(crate) fn system(&self) -> &SystemDb {
        &self.0.system
    }

    /// The root key's service as it is now.
    pub(super) async fn root(&self) -> Arc<dyn KeyService> {
        Arc::clone(&*self.0.root.read().await)
    }

    /// The time by which keys age and waits end.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.0.clock.now()
    }

    /// Wipes a key from memory.
    pub(super) fn forget(&self, purpose: Purpose, name: &str) {
        let mut cache = self.0.cache.lock();
        cache.keys.retain(|(of, which, _), _| *of != purpose || which != name);
        cache.newest.remove(&(purpose, name.to_owned()));
    }

    /// The newest version of a key; its first is made here.
    async fn newest(&self, purpose: Purpose, name: &str) -> Result<KeyAt, Problem> {
        let cached = self.0.cache.lock().newest.get(&(purpose, name.to_owned())).copied();
        if let Some((version, _)) = cached.filter(|(_, until)| self.now() < *until) {
            return Ok(KeyAt { version, key: self.at(purpose, name, version).await? });
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Problem::invalid(format!("a key's name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        let wanted = name.to_owned();
        let found = self.0.system.read(move |reader| store::newest(reader, purpose, &wanted)).await?;
        let row = match found {
            Some(row) => row,
            None => self.make_first(purpose, name).await?,
        };
        if let Some(held) = self.held(purpose, name, row.version) {
            self.remember(purpose, name, row.version, Arc::clone(&held.key));
            return Ok(KeyAt { version: row.version, key: held.key });
        }
        let key = Arc::new(unwrap_row(self.0.root.read().await.as_ref(), &row).await?);
        self.remember(purpose, name, row.version, Arc::clone(&key));
        Ok(KeyAt { version: row.version, key })
    }

    fn held(&self, purpose: Purpose, name: &str, version: i64) -> Option<Held> {
        self.0.cache.lock().keys.get(&(purpose, name.to_owned(), version)).cloned()
    }

    fn believed_until(&self, purpose: Purpose) -> Micros {
        match purpose {
            Purpose::Workspace => self.now().plus_secs(BELIEVED_S),
            // The server's own secrets are never destroyed.
            Purpose::Secret => Micros(i64::MAX),
        }
    }

    /// Two servers on one database may both come here; the row that was first is the key.
    async fn make_first(&self, purpose: Purpose, name: &str) -> Result<WrappedKey, Problem> {
        let root = self.0.root.read().await;
        let (row, _) = self.fresh(root.as_ref(), purpose, name, 1).await?;
        let wanted = name.to_owned();
        let write = move |writer: &mut crate::db::Writer<'_>| {
            if purpose == Purpose::Workspace
                && let Some(tombstone) = life_store::tombstone(writer, &wanted)?
            {
                return Err(destroy::gone(&tombstone));
            }
            store::insert(writer, &row)?;
            store::newest(writer, purpose, &wanted)
        };
        let kept = self.0.system.write(write).await?;
        kept.ok_or_else(|| Problem::internal("a new key could not be read back", "the row is not there"))
    }

    async fn fresh(
        &self,
        root: &dyn KeyService,
        purpose: Purpose,
        name: &str,
        version: i64,
    ) -> Result<(WrappedKey, Secret), Problem> {
        let key = Secret::new(random_bytes::<KEY_BYTES>().to_vec());
        let wrapped = root.wrap(&key, &row_aad(purpose.word(), name, version)).await?;
        let row = WrappedKey {
            purpose: purpose.word().to_owned(),
            name: name.to_owned(),
            version,
            wrapped,
            root_name: root.name().to_owned(),
            root_version: root.version(),
            created_at: self.0.clock.now(),
        };
        Ok((row, key))
    }

    async fn at(&self, purpose: Purpose, name: &str, version: i64) -> Result<Arc<Secret>, Problem> {
        let cached = self.held(purpose, name, version);
        if let Some(held) = cached.as_ref().filter(|held| self.now() < held.until) {
            return Ok(Arc::clone(&held.key));
        }
        let wanted = name.to_owned();
        let read = move |reader: &mut crate::db::Reader<'_>| {
            let row = store::get(reader, purpose, &wanted, version)?;
            let tombstone = if row.is_none() { life_store::tombstone(reader, &wanted)? } else { None };
            Ok((row, tombstone))
        };
        let key = match self.0.system.read(read).await? {
            (Some(_), _) if cached.is_some() => cached.map(|held| held.key),
            (Some(row), _) => Some(Arc::new(unwrap_row(self.0.root.read().await.as_ref(), &row).await?)),
            (None, tombstone) => {
                self.forget(purpose, name);
                if let Some(tombstone) = tombstone.filter(|_| purpose == Purpose::Workspace) {
                    return Err(destroy::gone(&tombstone));
                }
                None
            }
        };
        let missing = || Problem::internal(format!("version {version} of a key is not in the database"), "the row is not there");
        let key = key.ok_or_else(missing)?;
        let held = Held { key: Arc::clone(&key), until: self.believed_until(purpose) };
        let mut cache = self.0.cache.lock();
        make_room(&mut cache);
        cache.keys.insert((purpose, name.to_owned(), version), held);
        Ok(key)
    }

    fn remember(&self, purpose: Purpose, name: &str, version: i64, key: Arc<Secret>) {
        let until = self.believed_until(purpose);
        let mut cache = self.0.cache.lock();
        make_room(&mut cache);
        cache.keys.insert((purpose, name.to_owned(), version), Held { key, until });
        let newest = cache.newest.entry((purpose, name.to_owned())).or_insert((version, until));
        *newest = (version.max(newest.0), until);
    }
}

fn make_room(cache: &mut Cache) {
    if cache.keys.len() >= CACHED_KEY_COUNT_MAX {
        *cache = Cache::default();
    }
}

pub(super) async fn unwrap_row(root: &dyn KeyService, row: &WrappedKey) -> Result<Secret, Problem> {
    if row.root_name != root.name() {
        let message = format!("a key is wrapped by the root key `{}`, but `{}` is configured", row.root_name, root.name());
        return Err(Problem::internal(message, "another kind of root key"));
    }
    root.unwrap(row.root_version, &row.wrapped, &row_aad(&row.purpose, &row.name, row.version)).await
}

fn row_aad(purpose: &str, name: &str, version: i64) -> Vec<u8> {
    join(&[b"strongroom/key/1", purpose.as_bytes(), name.as_bytes(), &version.to_be_bytes()])
}

fn object_aad(workspace: &str, version: i64, place: &[u8]) -> Vec<u8> {
    join(&[b"strongroom/object-key/1", workspace.as_bytes(), &version.to_be_bytes(), place])
}

fn row_place(workspace: &str, version: i64, place: &[u8]) -> Vec<u8> {
    join(&[b"strongroom/row/1", workspace.as_bytes(), &version.to_be_bytes(), place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Location, Opened, open};
    use crate::keys::KeyFile;
    use gate::Target;
    use kernel::FakeClock;
    use std::path::Path;

    fn database(folder: &Path) -> Opened {
        open(&Location::Sqlite(folder.join("main.db"))).unwrap()
    }

    async fn ring(opened: &Opened, root: KeyFile) -> Result<Keyring, Problem> {
        Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await
    }

    #[tokio::test]
    async fn secrets_and_workspace_keys_survive_a_restart_and_differ_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let opened = database(folder.path());
        let first = ring(&opened, KeyFile::create(&path).unwrap()).await.unwrap();
        let pepper = first.secret("pepper").await.unwrap();
        let key = first.workspace("w1").await.unwrap();
        assert!(pepper == first.secret("pepper").await.unwrap());
        assert!(pepper != first.secret("salt").await.unwrap());
        assert!(key.key != first.workspace("w2").await.unwrap().key);
        let again = ring(&opened, KeyFile::open(&path).unwrap()).await.unwrap();
        assert!(pepper == again.secret("pepper").await.unwrap());
        assert!(key.key == again.workspace("w1").await.unwrap().key);
        let other = KeyFile::create(&folder.path().join("other.key")).unwrap();
        assert_eq!(ring(&opened, other).await.map(|_| ()).unwrap_err().kind(), Kind::Invalid);
    }

    #[tokio::test]
    async fn two_servers_agree_on_a_key_that_both_make() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let opened = database(folder.path());
        let one = ring(&opened, KeyFile::create(&path).unwrap()).await.unwrap();
        let two = ring(&opened, KeyFile::open(&path).unwrap()).await.unwrap();
        let (a, b) = tokio::join!(one.secret("seed"), two.secret("seed"));
        assert!(a.unwrap() == b.unwrap());
    }

    #[tokio::test]
    async fn a_wrapped_key_opens_only_in_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let opened = database(folder.path());
        let ring = ring(&opened, KeyFile::create(&folder.path().join("root.key")).unwrap()).await.unwrap();
        let key = Secret::new(vec![9; 32]);
        let wrapped = ring.wrap_object_key("w1", b"object 1", &key).await.unwrap();
        assert!(ring.unwrap_object_key("w1", b"object 1", &wrapped).await.unwrap() == key);
        assert!(ring.unwrap_object_key("w1", b"object 2", &wrapped).await.is_err());
        assert!(ring.unwrap_object_key("w2", b"object 1", &wrapped).await.is_err());
        let other_version = ObjectKey { version: 2, ..wrapped };
        assert!(ring.unwrap_object_key("w1", b"object 1", &other_version).await.is_err());
    }

    #[tokio::test]
    async fn what_is_sealed_opens_only_in_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let opened = database(folder.path());
        let ring = ring(&opened, KeyFile::create(&folder.path().join("root.key")).unwrap()).await.unwrap();
        let plain = Secret::from("a row's own words".to_owned());
        let sealed = ring.seal("w1", b"row 1", &plain).await.unwrap();
        assert!(!sealed.windows(3).any(|part| part == b"row"));
        assert!(ring.open_sealed("w1", b"row 1", &sealed).await.unwrap() == plain);
        for (workspace, place) in [("w1", "row 2"), ("w2", "row 1")] {
            assert!(ring.open_sealed(workspace, place.as_bytes(), &sealed).await.is_err());
        }
        // Neither does an object's key pass for it.
        let key = ring.wrap_object_key("w1", b"row 1", &plain).await.unwrap();
        let passed_off = [key.version.to_be_bytes().as_slice(), &key.wrapped].concat();
        assert!(ring.open_sealed("w1", b"row 1", &passed_off).await.is_err());
        for length in 0..sealed.len() {
            assert!(ring.open_sealed("w1", b"row 1", sealed.get(..length).unwrap()).await.is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn rotation_leaves_old_object_keys_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let opened = database(folder.path());
        let file = KeyFile::create(&path).unwrap();
        let ring_one = ring(&opened, KeyFile::open(&path).unwrap()).await.unwrap();
        let key = Secret::new(vec![9; 32]);
        let before = ring_one.wrap_object_key("w1", b"o", &key).await.unwrap();
        let sealed = ring_one.seal("w1", b"r", &key).await.unwrap();
        let seed = ring_one.secret("seed").await.unwrap();
        let gate = testkit::open_gate();
        let (db, keys, rotated) = (opened.db.clone(), ring_one.clone(), Arc::new(file.rotated().unwrap()));
        let rewrapped = gate
            .permit_for(Target::Workspace, move |permit| async move {
                assert_eq!(keys.rotate_workspace(&db, &permit, "w1").await?, 2);
                keys.change_root(&db, &permit, rotated).await
            })
            .await
            .unwrap();
        assert_eq!(rewrapped, 3);
        KeyFile::open(&path).unwrap().keep_newest().unwrap();
        let ring_two = ring(&opened, KeyFile::open(&path).unwrap()).await.unwrap();
        for ring in [ring_one, ring_two] {
            let after = ring.wrap_object_key("w1", b"o", &key).await.unwrap();
            assert_eq!((before.version, after.version), (1, 2));
            assert!(ring.unwrap_object_key("w1", b"o", &before).await.unwrap() == key);
            assert!(ring.unwrap_object_key("w1", b"o", &after).await.unwrap() == key);
            assert!(ring.open_sealed("w1", b"r", &sealed).await.unwrap() == key);
            assert!(ring.secret("seed").await.unwrap() == seed);
        }
        let recorded = gate.recorded();
        assert!(recorded.iter().any(|line| line.starts_with("sealed test.act done key_version=2")), "{recorded:?}");
    }

    #[tokio::test]
    async fn nothing_on_disk_holds_an_unwrapped_key() {
        let folder = tempfile::tempdir().unwrap();
        let opened = database(folder.path());
        let ring = ring(&opened, KeyFile::create(&folder.path().join("root.key")).unwrap()).await.unwrap();
        let keys = [ring.secret("seed").await.unwrap(), ring.workspace("w1").await.unwrap().key];
        for name in ["main.db", "main.db-wal"] {
            let bytes = std::fs::read(folder.path().join(name)).unwrap();
            for key in &keys {
                assert!(!bytes.windows(KEY_BYTES).any(|window| window == key.expose()), "{name}");
            }
        }
    }
}
