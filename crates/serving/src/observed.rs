//! Tells whoever watches of each request, whichever way it ended: also where it was refused half-way.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use gate::{CallerKind, Permit};
use kernel::{Kind, Problem};
use runtime::{Batch, Outputs, Values};
use watch::{CallerClass, Column, Observer, Probabilities, Sample, Verdict};

use crate::{Loaded, Serving};

/// Names of columns that have none: their places. Wider matrices have theirs made.
static PLACES: LazyLock<Vec<String>> = LazyLock::new(|| places(256));

fn places(count: usize) -> Vec<String> {
    (0..count).map(|place| place.to_string()).collect()
}

/// A request on its way. Dropped before it is answered, it counts as what it was last said to end as.
pub(crate) struct Seen {
    observer: Option<Arc<dyn Observer>>,
    started: Instant,
    at_us: i64,
    workspace: String,
    endpoint: String,
    caller: String,
    caller_class: CallerClass,
    version: String,
    row_count: usize,
    verdict: Verdict,
    kept: Option<Kept>,
}

/// What was asked, kept until it is answered.
struct Kept {
    model: Arc<Loaded>,
    batch: Arc<Batch>,
    /// How many columns a matrix has.
    width: usize,
    /// Their places, where these are more than [`PLACES`].
    places: Vec<String>,
}

impl Seen {
    pub(crate) fn new<O: ?Sized>(room: &Serving, permit: &Permit<O>, endpoint: &str) -> Self {
        let caller = permit.caller();
        let caller_class = match caller.kind {
            CallerKind::User => CallerClass::Person,
            CallerKind::Service => CallerClass::Service,
            CallerKind::Anonymous | CallerKind::Job => CallerClass::Other,
        };
        Self {
            observer: room.0.observer.lock().clone(),
            started: Instant::now(),
            at_us: permit.entry().at.0,
            workspace: permit.facts().workspace.clone().unwrap_or_default(),
            endpoint: endpoint.to_owned(),
            caller: caller.id.clone(),
            caller_class,
            version: String::new(),
            row_count: 0,
            verdict: Verdict::Failed,
            kept: None,
        }
    }

    /// What it ends as, if nothing more is said.
    pub(crate) const fn ends_as(&mut self, verdict: Verdict) {
        self.verdict = verdict;
    }

    /// Whose fault a failure is.
    pub(crate) fn blame(&mut self, problem: &Problem) {
        let is_theirs = matches!(problem.kind(), Kind::Invalid | Kind::TooLarge);
        self.verdict = if is_theirs { Verdict::Invalid } else { Verdict::Failed };
    }

    /// Keeps what is asked and who answers, if somebody watches.
    pub(crate) fn keep(&mut self, model: &Arc<Loaded>, batch: &Arc<Batch>) {
        self.version.clone_from(&model.version_id);
        self.row_count = batch.rows();
        if self.observer.is_none() {
            return;
        }
        let width = batch.inputs().next().and_then(|(_, tensor)| tensor.shape().get(1).copied()).unwrap_or(1);
        let places = if width > PLACES.len() { places(width) } else { Vec::new() };
        self.kept = Some(Kept { model: Arc::clone(model), batch: Arc::clone(batch), width, places });
    }

    /// It was answered: with these outputs, before they were made coarse.
    pub(crate) fn answered(mut self, id: &str, outputs: &Outputs) {
        let Some(observer) = self.observer.take() else { return };
        let Some(kept) = self.kept.take() else { return };
        let columns = kept.columns();
        let predicted = outputs.labels().or_else(|| outputs.value().map(runtime::Tensor::values)).map(view);
        let probabilities = outputs
            .probabilities()
            .map(|tensor| Probabilities { values: view(tensor.values()), width: tensor.shape().get(1).copied().unwrap_or(1) });
        observer.sample(&Sample {
            verdict: Verdict::Answered,
            prediction: Some(id),
            columns: &columns,
            classes: &kept.model.signature().classes,
            predicted,
            predicts_classes: outputs.labels().is_some(),
            probabilities,
            ..self.sample()
        });
    }

    fn sample(&self) -> Sample<'_> {
        Sample {
            at_us: self.at_us,
            workspace: &self.workspace,
            endpoint: &self.endpoint,
            version: &self.version,
            prediction: None,
            caller: &self.caller,
            caller_class: self.caller_class,
            row_count: self.row_count,
            latency_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            verdict: self.verdict,
            columns: &[],
            classes: &[],
            predicted: None,
            predicts_classes: false,
            probabilities: None,
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        if let Some(observer) = self.observer.take() {
            observer.sample(&self.sample());
        }
    }
}

impl Kept {
    /// Names of the columns of a matrix, as far as the model knows them.
    fn names(&self) -> &[String] {
        let known = self.model.signature().inputs.first().map(|port| port.columns.as_slice());
        known.filter(|known| known.len() == self.width).unwrap_or_else(|| PLACES.get(..self.width).unwrap_or(&self.places))
    }

    fn columns(&self) -> Vec<Column<'_>> {
        let mut columns = Vec::new();
        let only = self.batch.inputs().count() == 1;
        for (name, tensor) in self.batch.inputs() {
            let width = tensor.shape().iter().skip(1).product::<usize>();
            if width <= 1 && !only {
                columns.push(Column { name, values: view(tensor.values()), first: 0, stride: 1 });
                continue;
            }
            for (place, name) in self.names().iter().take(width.max(1)).enumerate() {
                columns.push(Column { name, values: view(tensor.values()), first: place, stride: width.max(1) });
            }
        }
        columns
    }
}

fn view(values: &Values) -> watch::Values<'_> {
    match values {
        Values::F32(values) => watch::Values::F32(values),
        Values::F64(values) => watch::Values::F64(values),
        Values::I64(values) => watch::Values::I64(values),
        Values::Bool(values) => watch::Values::Bool(values),
        Values::Text(values) => watch::Values::Text(values),
    }
}
