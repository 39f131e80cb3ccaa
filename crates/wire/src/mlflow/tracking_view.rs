//! What answers show of experiments and runs: MLflow's field names, in its order, empty lists left out.

use kernel::Problem;
use serde::{Serialize, Serializer};
use tracking::{DatasetInput, DatasetSummary, Experiment, KeyValue, MetricPoint, ModelLink, Run, RunInfo, RunMetricPoint};

use super::number::Float;
use crate::outbound::{Answer, json, json_text};

/// An id that MLflow shows as text.
struct AsText(i64);

impl Serialize for AsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
struct PairView<'a> {
    key: &'a str,
    value: &'a str,
}

fn pairs(pairs: &[KeyValue]) -> Vec<PairView<'_>> {
    pairs.iter().map(|pair| PairView { key: &pair.key, value: &pair.value }).collect()
}

#[derive(Serialize)]
struct ExperimentView<'a> {
    experiment_id: AsText,
    name: &'a str,
    artifact_location: &'a str,
    lifecycle_stage: &'static str,
    last_update_time: i64,
    creation_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<PairView<'a>>,
}

impl<'a> From<&'a Experiment> for ExperimentView<'a> {
    fn from(experiment: &'a Experiment) -> Self {
        Self {
            experiment_id: AsText(experiment.experiment_id),
            name: &experiment.name,
            artifact_location: &experiment.artifact_location,
            lifecycle_stage: experiment.stage.word(),
            last_update_time: experiment.updated_ms,
            creation_time: experiment.created_ms,
            tags: pairs(&experiment.tags),
        }
    }
}

#[derive(Serialize)]
struct InfoView<'a> {
    run_uuid: &'a str,
    experiment_id: AsText,
    run_name: &'a str,
    user_id: &'a str,
    status: &'a str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: &'a str,
    lifecycle_stage: &'static str,
    run_id: &'a str,
}

impl<'a> From<&'a RunInfo> for InfoView<'a> {
    fn from(info: &'a RunInfo) -> Self {
        Self {
            run_uuid: &info.run_id,
            experiment_id: AsText(info.experiment_id),
            run_name: &info.name,
            user_id: &info.user_name,
            status: &info.status,
            start_time: info.start_time_ms,
            end_time: info.end_time_ms,
            artifact_uri: &info.artifact_uri,
            lifecycle_stage: info.stage.word(),
            run_id: &info.run_id,
        }
    }
}

#[derive(Serialize)]
struct MetricView<'a> {
    key: &'a str,
    value: Float,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
}

impl<'a> From<&'a MetricPoint> for MetricView<'a> {
    fn from(point: &'a MetricPoint) -> Self {
        Self { key: &point.key, value: Float(point.value), timestamp: point.timestamp_ms, step: point.step, run_id: None }
    }
}

#[derive(Serialize)]
struct DataView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<PairView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<PairView<'a>>,
}

#[derive(Serialize)]
struct DatasetView<'a> {
    name: &'a str,
    digest: &'a str,
    source_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

#[derive(Serialize)]
struct DatasetInputView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<PairView<'a>>,
    dataset: DatasetView<'a>,
}

impl<'a> From<&'a DatasetInput> for DatasetInputView<'a> {
    fn from(input: &'a DatasetInput) -> Self {
        let dataset = &input.dataset;
        Self {
            tags: pairs(&input.tags),
            dataset: DatasetView {
                name: &dataset.name,
                digest: &dataset.digest,
                source_type: &dataset.source_type,
                source: &dataset.source,
                schema: dataset.schema.as_deref(),
                profile: dataset.profile.as_deref(),
            },
        }
    }
}

#[derive(Serialize)]
struct ModelView<'a> {
    model_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
}

#[derive(Serialize)]
struct InputsView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInputView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelView<'a>>,
}

#[derive(Serialize)]
struct OutputsView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelView<'a>>,
}

#[derive(Serialize)]
struct RunView<'a> {
    info: InfoView<'a>,
    data: DataView<'a>,
    inputs: InputsView<'a>,
    outputs: OutputsView<'a>,
}

impl<'a> From<&'a Run> for RunView<'a> {
    fn from(run: &'a Run) -> Self {
        let data = &run.data;
        let output = |model: &'a ModelLink| ModelView { model_id: &model.model_id, step: Some(model.step) };
        let input = |model: &'a ModelLink| ModelView { model_id: &model.model_id, step: None };
        Self {
            info: InfoView::from(&run.info),
            data: DataView {
                metrics: data.metrics.iter().map(MetricView::from).collect(),
                params: pairs(&data.params),
                tags: pairs(&data.tags),
            },
            inputs: InputsView {
                dataset_inputs: data.datasets.iter().map(DatasetInputView::from).collect(),
                model_inputs: data.model_inputs.iter().map(input).collect(),
            },
            outputs: OutputsView { model_outputs: data.model_outputs.iter().map(output).collect() },
        }
    }
}

/// A list under its name, and the next page's token.
#[derive(Serialize)]
struct ListAnswer<'a, T> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    experiments: Vec<T>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<RunView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<&'a str>,
}

impl<T> Default for ListAnswer<'_, T> {
    fn default() -> Self {
        Self { experiments: Vec::new(), runs: Vec::new(), metrics: Vec::new(), next_page_token: None }
    }
}

/// `{}`
pub(super) fn nothing(_: ()) -> Result<Answer, Problem> {
    json_text("{}")
}

/// `{"experiment_id": …}`
pub(super) fn experiment_id(id: i64) -> Result<Answer, Problem> {
    json_text(format!("{{\"experiment_id\":\"{id}\"}}"))
}

/// `{"experiment": …}`
pub(super) fn experiment(experiment: Experiment) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        experiment: ExperimentView<'a>,
    }
    json(&Body { experiment: ExperimentView::from(&experiment) })
}

/// `{"experiments": …, "next_page_token": …}`
pub(super) fn experiments(page: tracking::Page<Experiment>) -> Result<Answer, Problem> {
    json(&ListAnswer {
        experiments: page.items.iter().map(ExperimentView::from).collect(),
        next_page_token: page.next_page_token.as_deref(),
        ..ListAnswer::default()
    })
}

/// `{"run": …}`
pub(super) fn run(run: Run) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        run: RunView<'a>,
    }
    json(&Body { run: RunView::from(&run) })
}

/// `{"run_info": …}`
pub(super) fn run_info(info: RunInfo) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        run_info: InfoView<'a>,
    }
    json(&Body { run_info: InfoView::from(&info) })
}

/// `{"runs": …, "next_page_token": …}`
pub(super) fn runs(page: tracking::Page<Run>) -> Result<Answer, Problem> {
    json(&ListAnswer::<()> {
        runs: page.items.iter().map(RunView::from).collect(),
        next_page_token: page.next_page_token.as_deref(),
        ..ListAnswer::default()
    })
}

/// `{"metrics": …, "next_page_token": …}`
pub(super) fn history(page: tracking::Page<MetricPoint>) -> Result<Answer, Problem> {
    json(&ListAnswer::<()> {
        metrics: page.items.iter().map(MetricView::from).collect(),
        next_page_token: page.next_page_token.as_deref(),
        ..ListAnswer::default()
    })
}

fn of_runs(points: &[RunMetricPoint]) -> Vec<MetricView<'_>> {
    points.iter().map(|of| MetricView { run_id: Some(&of.run_id), ..MetricView::from(&of.point) }).collect()
}

/// `{"metrics": …}`, also where it is empty: the web page expects the list.
pub(super) fn bulk_history(points: Vec<RunMetricPoint>) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        metrics: Vec<MetricView<'a>>,
    }
    json(&Body { metrics: of_runs(&points) })
}

/// `{"metrics": …}`
pub(super) fn interval_history(points: Vec<RunMetricPoint>) -> Result<Answer, Problem> {
    json(&ListAnswer::<()> { metrics: of_runs(&points), ..ListAnswer::default() })
}

/// `{"dataset_summaries": …}`
pub(super) fn dataset_summaries(summaries: Vec<DatasetSummary>) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct View<'a> {
        experiment_id: AsText,
        name: &'a str,
        digest: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        dataset_summaries: Vec<View<'a>>,
    }
    let dataset_summaries = summaries
        .iter()
        .map(|DatasetSummary { experiment_id, name, digest, context }| View {
            experiment_id: AsText(*experiment_id),
            name,
            digest,
            context: context.as_deref(),
        })
        .collect();
    json(&Body { dataset_summaries })
}
