//! The way of one prediction into the journal. It is on the path of every request: what it needs is remembered, and what it writes is
//! bytes.

use std::collections::HashMap;
use std::sync::Arc;

use gate::{BoxFuture, Target};
use kernel::{Kind, Micros, Problem, Secret, hex, random_bytes_for_id, sha256};
use lineage::{NodeKind, Trust, Used};
use parking_lot::RwLock;
use serving::{Asked, Draft, Loaded, Made, PredictionLog};
use vault::db::{DbError, Reader};
use vault::keys::{keyed_hash, seal};

use crate::journal::Body;
use crate::limits::{REMEMBER, VALUES_BYTES_MAX};
use crate::record::{Record, VERSION, digest};
use crate::subjects::{Keeper, Subject, aad};
use crate::types::{LogPolicy, Policy};
use crate::values::{self, SALT_BYTES};
use crate::{Predictions, store};

/// Endpoints and versions that are remembered.
const PLAN_COUNT_MAX: usize = 10_000;

/// What is kept of an endpoint's predictions by one version.
struct Plan {
    version: String,
    log: LogPolicy,
    /// The key of hashes.
    hash_key: Arc<Secret>,
    /// The digest of the model's manifest as records show it.
    manifest_sha256: String,
    until: Micros,
}

/// The plans of late, by endpoint.
#[derive(Default)]
pub(crate) struct Plans(RwLock<HashMap<String, Vec<Arc<Plan>>>>);

impl Plans {
    fn get(&self, endpoint_id: &str, model: &Loaded, now: Micros) -> Option<Arc<Plan>> {
        let all = self.0.read();
        let plan = all.get(endpoint_id)?.iter().find(|plan| plan.version == model.version_id)?;
        (now < plan.until).then(|| Arc::clone(plan))
    }

    fn put(&self, endpoint_id: &str, plan: Arc<Plan>) {
        let mut all = self.0.write();
        if all.len() >= PLAN_COUNT_MAX {
            all.clear();
        }
        let plans = all.entry(endpoint_id.to_owned()).or_default();
        plans.retain(|known| known.version != plan.version);
        plans.push(plan);
    }

    /// Forgets what was known of an endpoint.
    pub(crate) fn forget(&self, endpoint_id: &str) {
        self.0.write().remove(endpoint_id);
    }
}

impl PredictionLog for Predictions {
    fn begin<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Result<Option<Box<dyn Draft>>, Problem>> {
        Box::pin(async move {
            let now = self.0.ground.clock.now();
            let plan = match self.0.plans.get(asked.endpoint_id, asked.model, now) {
                Some(plan) => plan,
                None => self.plan(&asked, now).await?,
            };
            if plan.log == LogPolicy::Off {
                return Ok(None);
            }
            let subject = match asked.subject {
                Some(name) => {
                    let keeper = Keeper { system: self.system(), keys: self.objects().keys(), now };
                    Some(self.0.subjects.of(keeper, asked.workspace, name).await?)
                }
                None => None,
            };
            let values = values::begin(random_bytes_for_id::<SALT_BYTES>(), asked.batch, &asked.model.signature().inputs)?;
            bounded(&values)?;
            let draft = Writing {
                room: self.clone(),
                plan,
                subject,
                values,
                rows: asked.batch.rows() as u64,
                workspace: asked.workspace.to_owned(),
                endpoint_id: asked.endpoint_id.to_owned(),
                endpoint: asked.endpoint.to_owned(),
                caller: asked.caller.to_owned(),
                entry: asked.entry.to_owned(),
                begun_at: asked.at,
            };
            Ok(Some(Box::new(draft) as Box<dyn Draft>))
        })
    }
}

impl Predictions {
    async fn plan(&self, asked: &Asked<'_>, now: Micros) -> Result<Arc<Plan>, Problem> {
        let (workspace, endpoint) = (asked.workspace.to_owned(), asked.endpoint_id.to_owned());
        let version = asked.model.version_id.clone();
        let wanted = version.clone();
        let policy = self.system().read(move |reader| Ok(policy_of(reader, &workspace, &endpoint, &wanted, now)?)).await?;
        let hash_key = self.objects().keys().secret(&format!("predictions/hashes/{}", asked.workspace)).await?;
        let until = Micros(now.0.saturating_add(i64::try_from(REMEMBER.as_micros()).unwrap_or(0)));
        let manifest_sha256 = hex(&asked.model.manifest_sha256);
        let plan = Arc::new(Plan { version, log: policy.log, hash_key, manifest_sha256, until });
        self.0.plans.put(asked.endpoint_id, Arc::clone(&plan));
        Ok(plan)
    }
}

/// What is kept of an endpoint's predictions by a version: what somebody said, or what follows from the data behind the model.
pub(crate) fn policy_of(
    reader: &mut Reader<'_>,
    workspace: &str,
    endpoint_id: &str,
    version: &str,
    now: Micros,
) -> Result<Policy, DbError> {
    if let Some(policy) = store::policy(reader, endpoint_id)? {
        return Ok(policy);
    }
    let log = if concerns_nobody(reader, workspace, version, now)? { LogPolicy::Values } else { LogPolicy::Hashes };
    Ok(Policy { log, set_by: None })
}

/// Whether it is known on which data a version was trained, and that none of it is about people, health or money. A claim cannot relax
/// what is kept: only what the server saw, behind a run that it saw, counts as known.
fn concerns_nobody(reader: &mut Reader<'_>, workspace: &str, version: &str, now: Micros) -> Result<bool, DbError> {
    let Some((model, number)) = version.rsplit_once('/').and_then(|(model, number)| Some((model, number.parse::<i64>().ok()?)))
    else {
        return Ok(false);
    };
    let uses = lineage::origin_of_version(reader, workspace, model, number)?.uses;
    let versions = || uses.iter().filter(|used| used.kind == NodeKind::DataVersion);
    let is_seen = |used: &&Used| used.trust > Trust::Claimed;
    let mut contexts = Vec::new();
    for used in versions() {
        if !versions().filter(is_seen).any(|seen| seen.name == used.name) {
            return Ok(false);
        }
        let Some((dataset, number)) = used.name.rsplit_once('/') else { return Ok(false) };
        let target = Target::DatasetVersion(dataset.to_owned(), number.to_owned());
        let facts = data::locate(reader, workspace, &target, now)?.and_then(|facts| facts.data);
        let Some(classes) = facts.map(|facts| facts.classes) else { return Ok(false) };
        if classes.personal || classes.special || classes.health || classes.financial {
            return Ok(false);
        }
        if is_seen(&used) {
            contexts.push(used.detail.as_str());
        }
    }
    // What a client only described counts as unknown, unless it described what is kept here.
    let described = uses.iter().filter(|used| used.kind == NodeKind::Dataset);
    let mut unknown = described.filter(|used| !contexts.contains(&used.detail.as_str()));
    Ok(!contexts.is_empty() && unknown.next().is_none())
}

/// A prediction on its way.
struct Writing {
    room: Predictions,
    plan: Arc<Plan>,
    subject: Option<Subject>,
    values: Vec<u8>,
    rows: u64,
    workspace: String,
    endpoint_id: String,
    endpoint: String,
    caller: String,
    entry: String,
    begun_at: Micros,
}

impl Draft for Writing {
    fn keep(self: Box<Self>, made: &Made<'_>) -> Result<[u8; 32], Problem> {
        let Self { room, plan, subject, mut values, rows, workspace, endpoint_id, endpoint, caller, entry, begun_at } = *self;
        let inputs_end = values.len();
        values::end(&mut values, made.outputs);
        bounded(&values)?;
        let mut record = Record {
            at: made.at.0,
            caller,
            endpoint,
            endpoint_id,
            entry,
            id: made.id.to_owned(),
            inputs_hmac: None,
            latency_us: made.at.0.saturating_sub(begun_at.0).max(0),
            log: plan.log.word().to_owned(),
            manifest_sha256: plan.manifest_sha256.clone(),
            outputs_hmac: None,
            rows,
            subject: subject.as_ref().map(|subject| subject.id.clone()),
            v: VERSION,
            values_sha256: None,
            verdicts: made.verdicts.iter().map(|word| (*word).to_owned()).collect(),
            version: plan.version.clone(),
            workspace,
        };
        let body = if plan.log == LogPolicy::Values {
            record.values_sha256 = Some(hex(&sha256(&values)));
            match &subject {
                Some(subject) => Body::Sealed(seal(&subject.key, &values, &aad(&record.workspace, &record.id))?),
                None => Body::Plain(values),
            }
        } else {
            // Under the subject's own key where there is one: with the key goes what could be recognised.
            let key = subject.as_ref().map_or(&plan.hash_key, |subject| &subject.key);
            let (asked, said) = values.split_at_checked(inputs_end).unwrap_or_default();
            record.inputs_hmac = Some(hex(&keyed_hash(key, asked.get(SALT_BYTES..).unwrap_or_default())));
            record.outputs_hmac = Some(hex(&keyed_hash(key, said)));
            Body::None
        };
        let bytes = record.bytes().map_err(|error| Problem::internal("a prediction's record could not be written", error))?;
        room.0.journal.append(&bytes, &body)?;
        Ok(digest(&bytes))
    }
}

fn bounded(values: &[u8]) -> Result<(), Problem> {
    if values.len() <= VALUES_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "a request and its answer hold at most {VALUES_BYTES_MAX} bytes of values where predictions are logged; send less at once"
    );
    Err(Problem::new(Kind::TooLarge, message))
}
