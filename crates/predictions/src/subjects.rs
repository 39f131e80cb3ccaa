//! Whom predictions concern: a key for each, made when a request first names the subject. Erasing the row erases what was sealed
//! under the key, wherever it lies.

use std::collections::HashMap;
use std::sync::Arc;

use kernel::{Micros, Problem, Secret, random_bytes, random_id};
use parking_lot::Mutex;
use vault::db::{SystemDb, Writer};
use vault::keys::{KEY_BYTES, Keyring, keyed_hash};

use crate::limits::{REMEMBER, SUBJECT_COUNT_MAX};
use crate::store::{self, SubjectRow};

/// A subject, as it is known here.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Its random id.
    pub(crate) id: String,
    /// Its key.
    pub(crate) key: Arc<Secret>,
}

/// The subjects of late, by their tags.
pub(crate) struct Subjects {
    secret: Arc<Secret>,
    known: Mutex<HashMap<[u8; 32], (Subject, Micros)>>,
}

/// What keys are wrapped and kept with.
pub(crate) struct Keeper<'a> {
    pub(crate) system: &'a SystemDb,
    pub(crate) keys: &'a Keyring,
    pub(crate) now: Micros,
}

impl Subjects {
    pub(crate) fn new(secret: Arc<Secret>) -> Self {
        Self { secret, known: Mutex::default() }
    }

    /// The keyed hash that a name is kept as.
    pub(crate) fn tag(&self, workspace: &str, name: &str) -> [u8; 32] {
        keyed_hash(&self.secret, format!("{}:{workspace}:{name}", workspace.len()).as_bytes())
    }

    /// The subject of a name; one that was not known is made.
    pub(crate) async fn of(&self, keeper: Keeper<'_>, workspace: &str, name: &str) -> Result<Subject, Problem> {
        let tag = self.tag(workspace, name);
        let held = self.known.lock().get(&tag).cloned();
        if let Some((subject, _)) = held.filter(|(_, until)| keeper.now < *until) {
            return Ok(subject);
        }
        let wanted = workspace.to_owned();
        let found = keeper.system.read(move |reader| Ok(store::subject_by_tag(reader, &wanted, &tag)?)).await?;
        let row = match found {
            Some(row) => row,
            None => self.make(&keeper, workspace, tag).await?,
        };
        let subject = Subject { key: Arc::new(key_of(keeper.keys, &row).await?), id: row.id };
        let until = Micros(keeper.now.0.saturating_add(i64::try_from(REMEMBER.as_micros()).unwrap_or(0)));
        let mut known = self.known.lock();
        if known.len() >= SUBJECT_COUNT_MAX {
            known.clear();
        }
        known.insert(tag, (subject.clone(), until));
        Ok(subject)
    }

    /// Two requests may both come here; the row that was first is the subject.
    async fn make(&self, keeper: &Keeper<'_>, workspace: &str, tag: [u8; 32]) -> Result<SubjectRow, Problem> {
        let (id, at) = (random_id(), keeper.now);
        let key = Secret::new(random_bytes::<KEY_BYTES>().to_vec());
        let wrapped = keeper.keys.wrap_object_key(workspace, &place(&id), &key).await?;
        let row = SubjectRow { id, workspace: workspace.to_owned(), key: wrapped, since: at };
        let write = move |writer: &mut Writer<'_>| {
            store::insert_subject(writer, &row, &tag)?;
            Ok(store::subject_by_tag(writer, &row.workspace, &tag)?)
        };
        let kept = keeper.system.write(write).await?;
        kept.ok_or_else(|| Problem::internal("a subject's key could not be read back", "the row is not there"))
    }

    /// Forgets a subject at once. Other servers on the same database do within [`REMEMBER`].
    pub(crate) fn forget(&self, tag: &[u8; 32]) {
        self.known.lock().remove(tag);
    }
}

/// The key of a subject's row.
pub(crate) async fn key_of(keys: &Keyring, row: &SubjectRow) -> Result<Secret, Problem> {
    keys.unwrap_object_key(&row.workspace, &place(&row.id), &row.key).await
}

fn place(id: &str) -> Vec<u8> {
    format!("prediction-subject:{id}").into_bytes()
}

/// What a prediction's sealed values are bound to.
pub(crate) fn aad(workspace: &str, prediction: &str) -> Vec<u8> {
    format!("strongroom/prediction-values/1:{}:{workspace}:{prediction}", workspace.len()).into_bytes()
}
