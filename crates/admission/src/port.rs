//! What the registry asks, inside its own transactions.
//!
//! INVARIANT: no row means no. Every version gets its row in the transaction that registers it, prompts too: whatever a client
//! calls a version, its files may be loaded.

use artifacts::{Place, manifest_below};
use gate::{BoxFuture, DataState};
use kernel::Problem;
use tokio::time::{Duration, Instant, timeout_at};
use vault::db::{Reader, Writer};

use crate::Admission;
use crate::store::{gates, inspections, standings};
use crate::types::{Standing, Subject, conflict, no_version};

/// The scheme of files on this server.
const HERE: &str = "mlflow-artifacts:/";
/// How often a waiting promotion looks by itself: the inspection may end in another process.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl registry::Admission for Admission {
    fn registered(&self, writer: &mut Writer<'_>, new: &registry::Registered<'_>) -> Result<(), Problem> {
        let subject = Subject { model_id: new.model_id.to_owned(), number: new.number };
        // What does not read as a place of files here has none to inspect.
        let place = new.storage_location.strip_prefix(HERE).map(|place| place.trim_start_matches('/'));
        let place = place.filter(|place| Place::parse(place).is_ok());
        let row = standings::New { subject: &subject, workspace: new.workspace, submitter: new.submitter, at: new.at, place };
        standings::insert(writer, &row)?;
        // Without files there is nothing to inspect yet; `may_promote` looks again.
        if has_files(writer, place)? {
            inspections::queue(writer, &subject, new.workspace, new.submitter, new.at)?;
        }
        self.keep(writer, &subject, new.at)
    }

    fn wake(&self) {
        self.0.queued.notify_one();
    }

    fn settled<'a>(&'a self, model_id: &'a str, number: i64) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let subject = Subject { model_id: model_id.to_owned(), number };
            let deadline = Instant::now() + self.0.config.promotion_wait();
            loop {
                // Made before the look, so that an end in between is not missed.
                let ended = self.0.ended.notified();
                let wanted = subject.clone();
                let last = self.0.system.read(move |reader| Ok(inspections::last(reader, &wanted)?)).await?;
                if last.is_none_or(|last| last.state.is_over()) || Instant::now() >= deadline {
                    return Ok(());
                }
                let look = deadline.min(Instant::now() + LOOK_EVERY);
                drop(timeout_at(look, ended).await);
            }
        })
    }

    fn may_promote(&self, reader: &mut Reader<'_>, model_id: &str, number: i64) -> Result<(), Problem> {
        let subject = Subject { model_id: model_id.to_owned(), number };
        let standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
        self.promotable(reader, &standing)
    }

    fn may_fetch(&self, reader: &mut Reader<'_>, model_id: &str, number: i64) -> Result<(), Problem> {
        let subject = Subject { model_id: model_id.to_owned(), number };
        let Some(standing) = standings::get(reader, &subject)? else { return Ok(()) };
        if standing.state == DataState::Refused {
            let why = standing.decision.map(|decision| decision.why).unwrap_or_default();
            return Err(Problem::forbidden(format!(
                "version {number} was refused ({why}): loading it may do harm. `strongroom model findings` says what was found; a \
                 reviewer who must look at its files finds them among the artifacts of its run"
            )));
        }
        let last = inspections::last(reader, &subject)?;
        if standing.state == DataState::Quarantined && last.as_ref().is_some_and(|last| !last.state.is_over()) {
            return Err(Problem::unavailable(format!(
                "version {number} is still being inspected, so its files are not handed out yet: ask again in a moment"
            )));
        }
        unchanged(reader, &standing, last.is_some())
    }
}

/// Whoever fetches a version gets the files that were inspected: none that came later.
fn unchanged(reader: &mut Reader<'_>, standing: &Standing, was_tried: bool) -> Result<(), Problem> {
    let Some(place) = &standing.place else { return Ok(()) };
    let now = manifest_below(reader, place)?;
    if now.entries.is_empty() || standing.manifest_sha256 == Some(now.digest) {
        return Ok(());
    }
    let number = standing.subject.number;
    if standing.manifest_sha256.is_some() {
        return Err(Problem::forbidden(format!(
            "version {number}'s files are not those that were inspected, so it is not handed out; have them inspected again with \
             `strongroom model inspect`"
        )));
    }
    // A version that was empty may carry labels, which its later files must not inherit uninspected.
    if !was_tried || standings::is_labelled(reader, &standing.subject)? {
        return Err(Problem::forbidden(format!(
            "version {number}'s files came after it was registered and were never inspected, so it is not handed out; \
             `strongroom model inspect` asks for that"
        )));
    }
    Ok(())
}

/// A version that may answer now.
#[derive(Clone, Debug)]
pub struct Servable {
    /// Which.
    pub subject: Subject,
    /// The digest of the manifest that was inspected and is still that of its files.
    pub manifest_sha256: [u8; 32],
    /// Where its files are.
    pub place: Place,
}

impl Admission {
    /// The version `id` (`model id/number`), if it may be served at this moment.
    ///
    /// # Errors
    /// `Conflict`, saying why it may not; `NotFound` if there is none.
    pub fn servable(&self, reader: &mut Reader<'_>, id: &str) -> Result<Servable, Problem> {
        let subject = Subject::of_id(id).ok_or_else(no_version)?;
        let standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
        self.promotable(reader, &standing)?;
        let (Some(place), Some(manifest_sha256)) = (standing.place, standing.manifest_sha256) else {
            return Err(conflict("the version's files are not on this server, so it cannot be served"));
        };
        Ok(Servable { subject, manifest_sha256, place })
    }
}

fn has_files(reader: &mut Reader<'_>, place: Option<&str>) -> Result<bool, Problem> {
    has_files_at(reader, place.map(Place::parse).transpose()?.as_ref())
}

/// Whether any file is at a place.
pub(crate) fn has_files_at(reader: &mut Reader<'_>, place: Option<&Place>) -> Result<bool, Problem> {
    match place {
        Some(place) => Ok(!manifest_below(reader, place)?.entries.is_empty()),
        None => Ok(false),
    }
}

impl Admission {
    pub(crate) fn promotable(&self, reader: &mut Reader<'_>, standing: &Standing) -> Result<(), Problem> {
        let number = standing.subject.number;
        let files = match &standing.place {
            Some(place) => Some(manifest_below(reader, place)?).filter(|manifest| !manifest.entries.is_empty()),
            None => None,
        };
        let Some(now) = files else {
            if self.0.config.promote_unresolved && standing.state != DataState::Refused {
                return Ok(());
            }
            return Err(conflict(format!(
                "version {number} has no files on this server, so nothing is known of it; log the model here and register that"
            )));
        };
        match standing.state_at(self.0.clock.now()) {
            DataState::Admitted => {}
            DataState::Refused => {
                let why = standing.decision.as_ref().map(|decision| decision.why.as_str()).unwrap_or_default();
                return Err(conflict(format!(
                    "version {number} was refused: {why}. `strongroom model findings` says what was found"
                )));
            }
            _ => {
                let last = inspections::last(reader, &standing.subject)?;
                return Err(conflict(format!("version {number} is in quarantine: {}", waiting_for(standing, last.as_ref()))));
            }
        }
        if standing.manifest_sha256 != Some(now.digest) {
            return Err(conflict(format!(
                "version {number}'s files are not those that were inspected; have them inspected again with `strongroom model inspect`"
            )));
        }
        self.judged_by_the_gate(reader, standing)
    }

    /// A version goes beyond the champion only if the present gate file judged it. Going back to an earlier one stays possible.
    fn judged_by_the_gate(&self, reader: &mut Reader<'_>, standing: &Standing) -> Result<(), Problem> {
        let (number, model_id) = (standing.subject.number, &standing.subject.model_id);
        let Some(gate) = gates::current(reader, model_id)?.filter(|gate| standing.gate_revision != Some(gate.revision)) else {
            return Ok(());
        };
        if standings::aliased(reader, model_id)?.is_none_or(|champion| number > champion) {
            return Err(conflict(format!(
                "version {number} was not judged by revision {} of its model's gate file; `strongroom model inspect` has it judged",
                gate.revision
            )));
        }
        Ok(())
    }
}

/// Why a version is still in quarantine, and what to do.
fn waiting_for(standing: &Standing, last: Option<&crate::Inspection>) -> String {
    use data::InspectionState::{Cancelled, Done, Failed, Queued, Running};
    match last.map(|last| (last.state, last)) {
        None => "it was never inspected; `strongroom model inspect` asks for it".to_owned(),
        Some((Queued | Running, _)) => "its inspection is under way; try again when it has ended".to_owned(),
        Some((Failed | Cancelled, last)) => {
            let fault = last.fault.as_deref().unwrap_or("it was stopped");
            format!("its inspection left no report ({fault}); `strongroom model inspect` asks for another one")
        }
        Some((Done, _)) if standing.waiver_until.is_some() => "its waiver has ended; a reviewer may waive it again".to_owned(),
        Some((Done, _)) => {
            let why = standing.decision.as_ref().map(|decision| decision.why.as_str()).unwrap_or("a reviewer decides");
            let way = match standing.verdict {
                Some(data::Verdict::Pass) => "`strongroom model admit` lets it in",
                _ => "`strongroom model findings` lists what was found, `strongroom model waive` lets it in for a while",
            };
            format!("{why}; {way}")
        }
    }
}
