//! From an endpoint to the model that answers: looked up anew every [`LOOK_AGAIN`], loaded only when it is another one.

use std::collections::BTreeMap;
use std::sync::Arc;

use admission::Servable;
use artifacts::{Manifest, StoredFile, files_below};
use gate::{Permit, Target};
use kernel::{Kind, Micros, Problem, hex, sha256};
use parking_lot::Mutex;
use runtime::{Limits, LoadError, Model, Signature};
use vault::db::Reader;

use crate::limits::{LOADED_COUNT_MAX, LOOK_AGAIN};
use crate::types::{Endpoint, no_endpoint};
use crate::{Serving, store};

/// Files that a runtime may ask for, by the end of their names.
const MODEL_FILES: [&str; 8] = ["MLmodel", ".onnx", ".ubj", ".xgb", ".json", ".lgb", ".txt", ".skops"];

/// A model in memory.
#[derive(Debug)]
pub struct Loaded {
    /// The version, as records name it.
    pub version_id: String,
    /// Its number.
    pub number: i64,
    /// The digest of the manifest of its files.
    pub manifest_sha256: [u8; 32],
    pub(crate) model: Model,
}

impl Loaded {
    /// What it takes and gives.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        self.model.signature()
    }

    /// What kind of file it is, for people.
    #[must_use]
    pub fn format(&self) -> String {
        format!("{:?}", self.model.format()).to_lowercase()
    }
}

/// What one endpoint answers with.
#[derive(Default)]
pub(crate) struct Slot {
    now: Mutex<Option<Looked>>,
    /// Held while it is looked up: many requests wait for one look.
    looking: tokio::sync::Mutex<()>,
}

struct Looked {
    at: Micros,
    loaded: Arc<Loaded>,
}

impl Slot {
    fn fresh(&self, now: Micros) -> Option<Arc<Loaded>> {
        let held = self.now.lock();
        let looked = held.as_ref()?;
        let age_us = now.0.checked_sub(looked.at.0)?;
        let is_fresh = (0..=i64::try_from(LOOK_AGAIN.as_micros()).unwrap_or(0)).contains(&age_us);
        is_fresh.then(|| Arc::clone(&looked.loaded))
    }
}

impl Serving {
    /// The model that answers for an endpoint just now.
    ///
    /// # Errors
    /// `NotFound` for an endpoint that is gone; `Conflict` where the version may not be served or cannot be loaded.
    pub(crate) async fn answering<O: ?Sized>(&self, permit: &Permit<O>, endpoint_id: &str) -> Result<Arc<Loaded>, Problem> {
        let slot = self.slot(endpoint_id);
        if let Some(loaded) = slot.fresh(self.0.clock.now()) {
            return Ok(loaded);
        }
        let _looking = slot.looking.lock().await;
        let now = self.0.clock.now();
        if let Some(loaded) = slot.fresh(now) {
            return Ok(loaded);
        }
        // What does not answer for the moment is kept: it need not be loaded again once it does.
        let known = slot.now.lock().as_ref().map(|looked| Arc::clone(&looked.loaded));
        let servable = self.servable(permit, endpoint_id).await?;
        let loaded = match known {
            Some(known) if known.version_id == servable.subject.id() && known.manifest_sha256 == servable.manifest_sha256 => {
                known
            }
            _ => Arc::new(self.load(permit, servable).await?),
        };
        *slot.now.lock() = Some(Looked { at: now, loaded: Arc::clone(&loaded) });
        Ok(loaded)
    }

    fn slot(&self, endpoint_id: &str) -> Arc<Slot> {
        let mut slots = self.0.slots.lock();
        if let Some(slot) = slots.get(endpoint_id) {
            return Arc::clone(slot);
        }
        if slots.len() >= LOADED_COUNT_MAX {
            let used = |slot: &Arc<Slot>| slot.now.lock().as_ref().map_or(0, |looked| looked.at.0);
            let oldest = slots.iter().min_by_key(|(_, slot)| used(slot)).map(|(id, _)| id.clone());
            oldest.and_then(|id| slots.remove(&id));
        }
        Arc::clone(slots.entry(endpoint_id.to_owned()).or_default())
    }

    /// Forgets what an endpoint answered with.
    pub(crate) fn forget(&self, endpoint_id: &str) {
        self.0.slots.lock().remove(endpoint_id);
    }

    async fn servable<O: ?Sized>(&self, permit: &Permit<O>, endpoint_id: &str) -> Result<Servable, Problem> {
        let (admission, id) = (self.0.admission.clone(), endpoint_id.to_owned());
        let read = move |reader: &mut Reader<'_>| {
            let endpoint = store::get(reader, &id)?.ok_or_else(no_endpoint)?;
            let version = version_of(reader, &endpoint)?;
            admission.servable(reader, &version)
        };
        self.db().read(permit, read).await
    }

    async fn load<O: ?Sized>(&self, permit: &Permit<O>, servable: Servable) -> Result<Loaded, Problem> {
        let Servable { subject, manifest_sha256, place } = servable;
        let files = self.db().read(permit, move |reader| files_below(reader, &place)).await?;
        if Manifest::of(files.iter().map(|file| file.entry.clone()).collect()).digest != manifest_sha256 {
            return Err(Problem::new(Kind::Conflict, "the model's files changed at this moment; have it inspected again"));
        }
        let bytes_max = self.0.config.model_bytes_max;
        let wanted = |file: &&StoredFile| MODEL_FILES.iter().any(|end| file.entry.path.ends_with(end));
        let mut bytes = BTreeMap::new();
        let mut size_bytes = 0_u64;
        for file in files.iter().filter(wanted) {
            size_bytes = size_bytes.saturating_add(file.entry.size_bytes);
            if size_bytes > bytes_max {
                let message = format!("the model is larger than {bytes_max} bytes; raise `serving.model_bytes_max`");
                return Err(Problem::new(Kind::Conflict, message));
            }
            let read = self.0.artifacts.bytes_of(permit, file, 0..file.entry.size_bytes).await?;
            if sha256(&read) != file.entry.sha256 {
                let expected = hex(&file.entry.sha256);
                return Err(Problem::internal("a file of the model is not what was stored", format!("not {expected}")));
            }
            bytes.insert(file.entry.path.clone(), read.to_vec());
        }
        let limits = Limits { model_bytes_max: bytes_max, ..Limits::default() };
        let loading = tokio::task::spawn_blocking(move || Model::load(&bytes, &limits));
        let model = loading.await.map_err(|broken| Problem::internal("loading the model broke off", broken))?;
        let model = model.map_err(|error| cannot_be_loaded(&error))?;
        tracing::info!(version = subject.id(), file = model.file(), "a model was loaded");
        Ok(Loaded { version_id: subject.id(), number: subject.number, manifest_sha256, model })
    }
}

/// Which version an endpoint means now.
pub(crate) fn version_of(reader: &mut Reader<'_>, endpoint: &Endpoint) -> Result<String, Problem> {
    let gone = || Problem::new(Kind::Conflict, format!("the model of endpoint `{}` is deleted", endpoint.name));
    let target = Target::ModelVersion(endpoint.model.clone().ok_or_else(gone)?, endpoint.choice.to_string());
    let facts = registry::locate(reader, &endpoint.workspace, &target)?.filter(|facts| facts.exists);
    facts.and_then(|facts| facts.id).ok_or_else(|| {
        let (name, choice) = (&endpoint.name, &endpoint.choice);
        Problem::new(Kind::Conflict, format!("endpoint `{name}` answers with version {choice} of its model, which is not there"))
    })
}

fn cannot_be_loaded(error: &LoadError) -> Problem {
    let more = match error {
        LoadError::NoModel | LoadError::Unsupported(_) => {
            "; what can be served is ONNX, XGBoost (JSON, UBJ), LightGBM (text) and scikit-learn saved with skops"
        }
        _ => "",
    };
    Problem::new(Kind::Conflict, format!("the model cannot be served: {error}{more}"))
}
