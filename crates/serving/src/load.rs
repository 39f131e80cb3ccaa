//! From an endpoint to the model that answers: looked up anew every [`LOOK_AGAIN`], loaded only when it is another one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use admission::Servable;
use artifacts::{Manifest, StoredFile, files_below};
use gate::{Permit, Target};
use kernel::{Kind, Micros, Problem, hex, sha256};
use parking_lot::Mutex;
use runtime::{Batch, Limits, LoadError, Model, PredictError, Predicts, Signature};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vault::db::Reader;

use crate::engine::{Engine, Runtime, no_engines};
use crate::limits::{LOADED_COUNT_MAX, LOOK_AGAIN};
use crate::rollout::{Challenge, Rollout};
use crate::types::{Choice, Endpoint, no_endpoint};
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
    /// Bytes of the files that it was loaded from: about what it takes in memory.
    pub(crate) size_bytes: u64,
    pub(crate) model: Engine,
}

impl Loaded {
    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        self.model.signature()
    }

    /// What was written without types, with those that this model takes, and without what it does not name.
    pub(crate) fn typed(&self, batch: Batch) -> Result<Batch, PredictError> {
        let batch = batch.without_unknown(self.signature());
        match self.model.refuses(&batch) {
            Some(why) => Err(PredictError::Input(why.to_owned())),
            None => batch.typed(self.signature()),
        }
    }

    /// What `predict` of the library gives, with which it was saved.
    #[must_use]
    pub fn predicts(&self) -> Predicts {
        self.model.predicts()
    }

    /// What kind of file it is, for people.
    #[must_use]
    pub fn format(&self) -> String {
        self.model.format()
    }
}

/// What answers for an endpoint at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    pub(crate) place: Arc<EndpointPlace>,
    pub(crate) champion: Arc<Loaded>,
    pub(crate) challenge: Option<Arc<Challenge>>,
}

/// Where an endpoint is, as callers name it.
#[derive(Debug)]
pub(crate) struct EndpointPlace {
    pub(crate) workspace_name: String,
    pub(crate) endpoint_name: String,
    pub(crate) runtime: Runtime,
}

/// What one endpoint answers with.
pub(crate) struct Slot {
    now: Mutex<Option<Looked>>,
    /// Held while it is looked up: many requests wait for one look.
    looking: tokio::sync::Mutex<()>,
    /// A model that was loaded before the endpoint was told to answer with it.
    ahead: Mutex<Option<Arc<Loaded>>>,
    /// The version that could not be loaded when it was last wanted, and why.
    failed: Mutex<Option<(String, String)>>,
    /// Bounds how many requests of one endpoint are open at once: others are not starved by it.
    turns: Arc<Semaphore>,
}

struct Looked {
    at: Micros,
    answering: Answering,
}

/// What the database says of an endpoint.
struct Look {
    place: EndpointPlace,
    champion: Servable,
    challenger: Option<(Rollout, Result<Servable, Problem>)>,
}

impl Slot {
    fn new(requests_max: usize) -> Self {
        let turns = Arc::new(Semaphore::new(requests_max));
        let (now, ahead, failed) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { now, looking: tokio::sync::Mutex::default(), ahead, failed, turns }
    }

    fn fresh(&self, now: Micros) -> Option<Answering> {
        let held = self.now.lock();
        let looked = held.as_ref()?;
        let age_us = now.0.checked_sub(looked.at.0)?;
        let is_fresh = (0..=i64::try_from(LOOK_AGAIN.as_micros()).unwrap_or(0)).contains(&age_us);
        is_fresh.then(|| looked.answering.clone())
    }

    /// The models that are in memory here.
    pub(crate) fn models(&self) -> Vec<Arc<Loaded>> {
        let mut all: Vec<_> = self.ahead.lock().iter().cloned().collect();
        if let Some(looked) = &*self.now.lock() {
            all.push(Arc::clone(&looked.answering.champion));
            let challenger = looked.answering.challenge.as_ref().and_then(|challenge| challenge.model.as_ref().ok());
            all.extend(challenger.cloned());
        }
        all
    }

    /// A turn of this endpoint's requests.
    ///
    /// # Errors
    /// `TooMany` if as many as are allowed are open already.
    pub(crate) fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.turns).try_acquire_owned().map_err(|_| {
            let message = "this endpoint answers as many requests at once as it may; try again in a moment";
            Problem::new(Kind::TooMany, message).retry_after(LOOK_AGAIN)
        })
    }
}

impl Serving {
    /// Why an endpoint cannot answer, as far as that is known without loading its model; none where nothing stands against it.
    ///
    /// # Errors
    /// `Internal` of the database.
    pub fn obstacle(&self, reader: &mut Reader<'_>, endpoint_id: &str) -> Result<Option<String>, Problem> {
        let Some(endpoint) = store::get(reader, endpoint_id)? else { return Ok(None) };
        match self.may_answer(reader, endpoint) {
            Ok(()) => Ok(None),
            Err(problem) if matches!(problem.kind(), Kind::Conflict | Kind::NotFound) => Ok(Some(problem.message().to_owned())),
            Err(problem) => Err(problem),
        }
    }

    fn may_answer(&self, reader: &mut Reader<'_>, endpoint: Endpoint) -> Result<(), Problem> {
        let version = version_of(reader, &endpoint, &endpoint.choice)?;
        self.0.admission.servable(reader, &version)?;
        let slot = self.0.slots.lock().get(&endpoint.id).cloned();
        let place = EndpointPlace::of(reader, endpoint)?;
        self.may_run(&place.runtime, &place.workspace_name)?;
        let failed = slot.and_then(|slot| slot.failed.lock().clone()).filter(|(failed, _)| *failed == version);
        failed.map_or(Ok(()), |(_, why)| Err(Problem::new(Kind::Conflict, why)))
    }

    /// What answers for an endpoint just now.
    ///
    /// # Errors
    /// `NotFound` for an endpoint that is gone; `Conflict` where the version may not be served or cannot be loaded.
    pub(crate) async fn answering<O: ?Sized>(&self, permit: &Permit<O>, endpoint_id: &str) -> Result<Answering, Problem> {
        let slot = self.slot(endpoint_id);
        if let Some(answering) = slot.fresh(self.0.clock.now()) {
            return Ok(answering);
        }
        let _looking = slot.looking.lock().await;
        let now = self.0.clock.now();
        if let Some(answering) = slot.fresh(now) {
            return Ok(answering);
        }
        let Look { place, champion, challenger } = self.look(permit, endpoint_id).await?;
        let version = champion.subject.id();
        let champion = self.loaded(permit, &slot, champion, &place).await;
        // What passes by itself, such as Pythons that are all taken, says nothing of the version.
        let lasts = |problem: &&Problem| matches!(problem.kind(), Kind::Conflict | Kind::Internal | Kind::Gone);
        *slot.failed.lock() = champion.as_ref().err().filter(lasts).map(|problem| (version, problem.message().to_owned()));
        let champion = champion?;
        let challenge = match challenger {
            None => None,
            Some((rollout, servable)) => {
                let model = match servable {
                    Ok(servable) => self.loaded(permit, &slot, servable, &place).await,
                    Err(problem) => Err(problem),
                };
                Some(slot.challenge(rollout, model.map_err(|problem| problem.message().to_owned())))
            }
        };
        let answering = Answering { place: Arc::new(place), champion, challenge };
        *slot.now.lock() = Some(Looked { at: now, answering: answering.clone() });
        *slot.ahead.lock() = None;
        Ok(answering)
    }

    /// Loads a version before an endpoint is told to answer with it: what cannot be loaded changes nothing, and no request waits
    /// for it.
    ///
    /// # Errors
    /// `Conflict` where it may not be served or cannot be loaded.
    pub(crate) async fn load_ahead<O: ?Sized>(&self, permit: &Permit<O>, id: &str, choice: &Choice) -> Result<(), Problem> {
        let (admission, wanted, choice) = (self.0.admission.clone(), id.to_owned(), choice.clone());
        let read = move |reader: &mut Reader<'_>| {
            let endpoint = store::get(reader, &wanted)?.ok_or_else(no_endpoint)?;
            let version = version_of(reader, &endpoint, &choice)?;
            Ok((admission.servable(reader, &version)?, EndpointPlace::of(reader, endpoint)?))
        };
        let (servable, place) = self.db().read(permit, read).await?;
        let slot = self.slot(id);
        let loaded = self.loaded(permit, &slot, servable, &place).await?;
        *slot.ahead.lock() = Some(loaded);
        Ok(())
    }

    pub(crate) fn slot(&self, endpoint_id: &str) -> Arc<Slot> {
        let mut slots = self.0.slots.lock();
        if let Some(slot) = slots.get(endpoint_id) {
            return Arc::clone(slot);
        }
        if slots.len() >= LOADED_COUNT_MAX {
            let gone = oldest(&slots, None).or_else(|| slots.keys().next().cloned());
            gone.and_then(|id| slots.remove(&id));
        }
        let made = || Arc::new(Slot::new(self.0.config.endpoint_requests_max));
        Arc::clone(slots.entry(endpoint_id.to_owned()).or_insert_with(made))
    }

    /// Forgets what an endpoint answered with.
    pub(crate) fn forget(&self, endpoint_id: &str) {
        self.0.slots.lock().remove(endpoint_id);
    }

    /// Has the next request look what the endpoint answers with; what is in memory is kept until then.
    pub(crate) fn look_again(&self, endpoint_id: &str) {
        if let Some(looked) = &mut *self.slot(endpoint_id).now.lock() {
            looked.at = Micros(i64::MIN);
        }
    }

    async fn look<O: ?Sized>(&self, permit: &Permit<O>, endpoint_id: &str) -> Result<Look, Problem> {
        let (admission, id) = (self.0.admission.clone(), endpoint_id.to_owned());
        let read = move |reader: &mut Reader<'_>| {
            let endpoint = store::get(reader, &id)?.ok_or_else(no_endpoint)?;
            let version = version_of(reader, &endpoint, &endpoint.choice)?;
            let champion = admission.servable(reader, &version)?;
            let challenger = endpoint.rollout.clone().map(|rollout| {
                let version = version_of(reader, &endpoint, &rollout.choice);
                let servable = version.and_then(|version| admission.servable(reader, &version));
                (rollout, servable)
            });
            Ok(Look { place: EndpointPlace::of(reader, endpoint)?, champion, challenger })
        };
        self.db().read(permit, read).await
    }

    /// The model of a version: one that is in memory here, or a new one.
    async fn loaded<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        slot: &Slot,
        servable: Servable,
        place: &EndpointPlace,
    ) -> Result<Arc<Loaded>, Problem> {
        let (id, digest) = (servable.subject.id(), servable.manifest_sha256);
        let known = slot.models().into_iter().find(|known| known.version_id == id && known.manifest_sha256 == digest);
        // What the operator no longer allows stops, like what is no longer admitted.
        self.may_run(&place.runtime, &place.workspace_name)?;
        match known {
            Some(known) => Ok(known),
            None => Ok(Arc::new(self.load(permit, slot, servable, place).await?)),
        }
    }

    /// Makes room for a model of this size in `slot`: what was looked at the longest ago goes first.
    fn make_room(&self, slot: &Slot, size_bytes: u64) -> Result<(), Problem> {
        let limit = self.0.config.models_bytes_max;
        let mut slots = self.0.slots.lock();
        loop {
            let held: u64 = slots.values().flat_map(|slot| slot.models()).map(|model| model.size_bytes).sum();
            if held.saturating_add(size_bytes) <= limit {
                return Ok(());
            }
            let Some(id) = oldest(&slots, Some(slot)) else {
                let message =
                    format!("the models in memory would be larger than {limit} bytes; raise `serving.models_bytes_max`");
                return Err(Problem::new(Kind::Conflict, message));
            };
            slots.remove(&id);
        }
    }

    async fn load<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        slot: &Slot,
        servable: Servable,
        endpoint: &EndpointPlace,
    ) -> Result<Loaded, Problem> {
        let Servable { subject, manifest_sha256, place } = servable;
        let files = self.db().read(permit, move |reader| files_below(reader, &place)).await?;
        if Manifest::of(files.iter().map(|file| file.entry.clone()).collect()).digest != manifest_sha256 {
            return Err(Problem::new(Kind::Conflict, "the model's files changed at this moment; have it inspected again"));
        }
        let bytes_max = self.0.config.model_bytes_max;
        let wanted = |file: &&StoredFile| match endpoint.runtime {
            Runtime::Native => MODEL_FILES.iter().any(|end| file.entry.path.ends_with(end)),
            Runtime::Python => true,
            Runtime::Upstream { .. } => false,
        };
        let size_bytes: u64 = files.iter().filter(wanted).map(|file| file.entry.size_bytes).sum();
        if size_bytes > bytes_max {
            let message = format!("the model is larger than {bytes_max} bytes; raise `serving.model_bytes_max`");
            return Err(Problem::new(Kind::Conflict, message));
        }
        self.make_room(slot, size_bytes)?;
        let mut bytes = BTreeMap::new();
        for file in files.iter().filter(wanted) {
            let read = self.0.artifacts.bytes_of(permit, file, 0..file.entry.size_bytes).await?;
            if sha256(&read) != file.entry.sha256 {
                let expected = hex(&file.entry.sha256);
                return Err(Problem::internal("a file of the model is not what was stored", format!("not {expected}")));
            }
            bytes.insert(file.entry.path.clone(), read.to_vec());
        }
        let ranges = match endpoint.runtime {
            Runtime::Python => self.0.admission.guard_reference(permit, &subject).await?.and_then(|reference| reference.ranges()),
            _ => None,
        };
        let model = self.engine(&endpoint.runtime, manifest_sha256, bytes, ranges).await?;
        tracing::info!(version = subject.id(), format = model.format(), "a model was loaded");
        Ok(Loaded { version_id: subject.id(), number: subject.number, manifest_sha256, size_bytes, model })
    }
}

impl Serving {
    /// Whether the configuration lets models of this workspace be computed so.
    ///
    /// # Errors
    /// `Conflict`, saying what to write into it.
    pub(crate) fn may_run(&self, runtime: &Runtime, workspace: &str) -> Result<(), Problem> {
        let config = &self.0.config;
        let why = match runtime {
            Runtime::Native => return Ok(()),
            Runtime::Python => match &config.python {
                Some(python) if python.workspaces.iter().any(|one| one == "*" || one == workspace) => return Ok(()),
                Some(_) => format!(
                    "models of the workspace `{workspace}` may not run in Python: `serving.python.workspaces` does not name it"
                ),
                None => "this server runs no Python models: `[serving.python]` in its configuration names a Python for them"
                    .to_owned(),
            },
            Runtime::Upstream { server, .. } => match config.upstreams.get(server) {
                Some(_) => return Ok(()),
                None => format!("`[serving.upstreams.{server}]` does not stand in the server's configuration"),
            },
        };
        Err(Problem::new(Kind::Conflict, why))
    }

    async fn engine(
        &self,
        runtime: &Runtime,
        digest: [u8; 32],
        files: BTreeMap<String, Vec<u8>>,
        ranges: Option<Vec<(f64, f64)>>,
    ) -> Result<Engine, Problem> {
        let engines = || self.0.engines.get().ok_or_else(no_engines);
        match runtime {
            Runtime::Native => {
                let limits = Limits { model_bytes_max: self.0.config.model_bytes_max, ..Limits::default() };
                let loading = tokio::task::spawn_blocking(move || Model::load(&files, &limits));
                let model = loading.await.map_err(|broken| Problem::internal("loading the model broke off", broken))?;
                model.map(|model| Engine::Native(Arc::new(model))).map_err(|error| cannot_be_loaded(&error))
            }
            Runtime::Python => engines()?.python(digest, files, ranges).await,
            Runtime::Upstream { server, model } => engines()?.upstream(server, model).await.map(Engine::Elsewhere),
        }
    }
}

impl EndpointPlace {
    fn of(reader: &mut Reader<'_>, endpoint: Endpoint) -> Result<Self, Problem> {
        let workspace_name = store::workspace_name(reader, &endpoint.workspace)?.ok_or_else(no_endpoint)?;
        Ok(Self { workspace_name, endpoint_name: endpoint.name, runtime: endpoint.runtime })
    }
}

impl Slot {
    /// The challenge of a rollout: the one that there is, if it still means the same, or a new one.
    fn challenge(&self, rollout: Rollout, model: Result<Arc<Loaded>, String>) -> Arc<Challenge> {
        let held = self.now.lock();
        let known = held.as_ref().and_then(|looked| looked.answering.challenge.as_ref());
        let is_same = |known: &&Arc<Challenge>| match (&known.model, &model) {
            (Ok(one), Ok(other)) => known.rollout.id == rollout.id && Arc::ptr_eq(one, other),
            _ => false,
        };
        match known.filter(is_same) {
            Some(known) if known.rollout == rollout => Arc::clone(known),
            // It was halted: what led to that stays to be seen.
            Some(known) => Arc::new(Challenge { rollout, model, tally: Arc::clone(&known.tally) }),
            None => Arc::new(Challenge { rollout, model, tally: Arc::default() }),
        }
    }
}

/// The slot that was looked at the longest ago, of the others that hold a model.
fn oldest(slots: &HashMap<String, Arc<Slot>>, besides: Option<&Slot>) -> Option<String> {
    let looked = |slot: &Slot| slot.now.lock().as_ref().map_or(0, |looked| looked.at.0);
    let is_other = |slot: &Arc<Slot>| besides.is_none_or(|other| !std::ptr::eq(Arc::as_ptr(slot), other));
    let holding = slots.iter().filter(|(_, slot)| is_other(slot) && !slot.models().is_empty());
    holding.min_by_key(|(_, slot)| looked(slot)).map(|(id, _)| id.clone())
}

/// Which version an endpoint means by a choice now.
pub(crate) fn version_of(reader: &mut Reader<'_>, endpoint: &Endpoint, choice: &Choice) -> Result<String, Problem> {
    let gone = || Problem::new(Kind::Conflict, format!("the model of endpoint `{}` is deleted", endpoint.name));
    let target = Target::ModelVersion(endpoint.model.clone().ok_or_else(gone)?, choice.to_string());
    let facts = registry::locate(reader, &endpoint.workspace, &target)?.filter(|facts| facts.exists);
    facts.and_then(|facts| facts.id).ok_or_else(|| {
        let name = &endpoint.name;
        Problem::new(Kind::Conflict, format!("endpoint `{name}` answers with version {choice} of its model, which is not there"))
    })
}

/// The number of the version that an endpoint means now, if there is one.
pub(crate) fn number_now(reader: &mut Reader<'_>, endpoint: &Endpoint) -> Option<i64> {
    let id = version_of(reader, endpoint, &endpoint.choice).ok()?;
    admission::Subject::of_id(&id).map(|subject| subject.number)
}

fn cannot_be_loaded(error: &LoadError) -> Problem {
    let more = match error {
        LoadError::NoModel | LoadError::Unsupported(_) => {
            "; what can be served is ONNX, XGBoost (JSON, UBJ), LightGBM (text) and scikit-learn saved with skops, and others with \
             `--runtime python` where the operator allows it"
        }
        _ => "",
    };
    Problem::new(Kind::Conflict, format!("the model cannot be served: {error}{more}"))
}
