//! What a version is tried on: its model's gate file, the champion, and the data that the file names.
//!
//! INVARIANT: a version is judged only on data that is admitted. What a model was trained on is looked into whatever its state:
//! that is what shows a backdoor. Held by `tests::gates`.

use artifacts::{StoredFile, files_below};
use data::ReadableVersion;
use gate::{DataState, Permit};
use gates::{DataName, GateFile};
use inspection::{
    ChampionSpec, CsvDialect, FileSpec, InspectionReport, OtherTable, TRIGGER_COUNT_MAX, TRIGGER_ROW_COUNT_MAX, TrainingTable,
    TrialSpec, TrialTable, TriggerSpec,
};
use kernel::{Micros, Problem, hex};
use lineage::{NodeKind, Origin};
use serde::Deserialize;
use vault::db::Reader;
use vault::objects::StoredObject;

use crate::Admission;
use crate::store::{gates as store, standings};
use crate::types::{Gate, Standing};

/// Data versions that a model was trained on and that are looked into.
const TRAINING_COUNT_MAX: usize = 8;

/// What the database says of a trial.
pub(crate) struct Found {
    pub(crate) gate: Gate,
    text: String,
    champion: Option<(i64, Vec<StoredFile>)>,
    held_back: Vec<ReadableVersion>,
    golden: Option<ReadableVersion>,
    training: Vec<(ReadableVersion, bool)>,
    missing: Vec<String>,
}

/// A file that a worker may read.
pub(crate) enum Readable {
    /// Of a model.
    OfModel(StoredFile),
    /// Of a data set.
    OfData(Box<StoredObject>),
}

/// A trial, ready to be handed to a worker.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Nothing where the model has no gate file.
    pub(crate) spec: Option<TrialSpec>,
    /// Its files, in groups.
    pub(crate) others: Vec<OtherTable>,
    /// The same files, in the order of the groups.
    pub(crate) files: Vec<Readable>,
    /// Which revision of the gate file judges.
    pub(crate) revision: Option<i64>,
    /// The data versions that are read: data set, number, id.
    pub(crate) data: Vec<(String, i64, String)>,
}

/// Looks up what a version is tried on. Nothing where its model has no gate file.
pub(crate) fn look_up(
    reader: &mut Reader<'_>,
    standing: &Standing,
    origin: &Origin,
    now: Micros,
) -> Result<Option<Found>, Problem> {
    let Some(gate) = store::current(reader, &standing.subject.model_id)? else { return Ok(None) };
    let text = gate.text.clone().unwrap_or_default();
    let mut found =
        Found { gate, text, champion: None, held_back: Vec::new(), golden: None, training: Vec::new(), missing: Vec::new() };
    // It was read when it was set; a later release may read it otherwise, and then the worker says so.
    let Ok(file) = GateFile::from_yaml(&found.text) else { return Ok(Some(found)) };
    if let Some(champion) = standings::champion(reader, &standing.subject, now)? {
        let files = champion.place.as_ref().map(|place| files_below(reader, place)).transpose()?.unwrap_or_default();
        found.champion = Some((champion.subject.number, files));
    }
    for name in &file.data {
        if let Some(version) = admitted(reader, standing, name, now, &mut found.missing)? {
            found.held_back.push(version);
        }
    }
    if let Some(golden) = &file.golden {
        found.golden = admitted(reader, standing, &golden.data, now, &mut found.missing)?;
    }
    if let Some(attacks) = &file.attacks {
        let trained = origin.uses.iter().filter(|used| used.kind == NodeKind::DataVersion);
        let trained =
            trained.filter_map(|used| DataName::try_from(used.name.replacen('/', "@", 1)).ok()).map(|name| (name, true));
        let wanted = trained.chain(attacks.triggers_of.iter().cloned().map(|name| (name, false)));
        for (name, is_trained) in wanted {
            let known = found.training.iter().any(|(version, _)| is_named(version, &name));
            if known || file.data.contains(&name) || found.training.len() >= TRAINING_COUNT_MAX {
                continue;
            }
            match data::readable(reader, &standing.workspace, &name.dataset, i64::from(name.number), now)? {
                Some(version) => found.training.push((version, is_trained)),
                None if !is_trained => {
                    found.missing.push(format!("there is no data version `{name}`, whose triggers are to be tried"))
                }
                None => {}
            }
        }
    }
    Ok(Some(found))
}

fn is_named(version: &ReadableVersion, name: &DataName) -> bool {
    version.dataset == name.dataset && version.number == i64::from(name.number)
}

/// A version that a model may be judged on, or why it may not.
fn admitted(
    reader: &mut Reader<'_>,
    standing: &Standing,
    name: &DataName,
    now: Micros,
    missing: &mut Vec<String>,
) -> Result<Option<ReadableVersion>, Problem> {
    let found = data::readable(reader, &standing.workspace, &name.dataset, i64::from(name.number), now)?;
    let Some(version) = found else {
        missing.push(format!("there is no data version `{name}`: commit it, or name another in the gate file"));
        return Ok(None);
    };
    if version.state != DataState::Admitted {
        let state = version.state.word();
        missing
            .push(format!("`{name}` is {state}, and models are judged on admitted data only: have it admitted, or name another"));
        return Ok(None);
    }
    Ok(Some(version))
}

/// What a report of data says of triggers; the rest of it is not read.
#[derive(Deserialize)]
struct Poisoning {
    #[serde(default)]
    triggers: Vec<Trigger>,
}

#[derive(Deserialize)]
struct Trigger {
    cells: Vec<String>,
    label: String,
    rows: Vec<u64>,
}

impl Admission {
    /// Makes the worker's part of the job.
    pub(crate) async fn prepare<O: ?Sized>(&self, permit: &Permit<O>, found: Option<&Found>) -> Result<Prepared, Problem> {
        let Some(found) = found else { return Ok(Prepared::default()) };
        let mut prepared = Prepared { revision: Some(found.gate.revision), ..Prepared::default() };
        let champion = found.champion.as_ref().map(|(number, files)| {
            let place = prepared.add_model(*number, files);
            ChampionSpec { version: number.to_string(), place }
        });
        let held_back = found.held_back.iter().map(|version| prepared.add_data(version)).collect();
        let golden = found.golden.as_ref().map(|version| prepared.add_data(version));
        let mut training = Vec::new();
        for (version, trained) in &found.training {
            let triggers = self.triggers(permit, version).await?;
            training.push(TrainingTable { table: prepared.add_data(version), trained: *trained, triggers });
        }
        prepared.spec = Some(TrialSpec {
            gate_yaml: found.text.clone(),
            revision: found.gate.revision,
            champion,
            held_back,
            golden,
            training,
            missing: found.missing.clone(),
        });
        Ok(prepared)
    }

    /// The triggers that the inspection of a data version found.
    async fn triggers<O: ?Sized>(&self, permit: &Permit<O>, version: &ReadableVersion) -> Result<Vec<TriggerSpec>, Problem> {
        let Some(report) = &version.report else { return Ok(Vec::new()) };
        let bytes = self.whole(permit, report).await?;
        let report: InspectionReport = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::internal("the report of the training data cannot be read", error))?;
        let Some(section) = report.poisoning.and_then(|section| section.parse::<Poisoning>().ok()) else { return Ok(Vec::new()) };
        let spec = |trigger: Trigger| TriggerSpec {
            words: trigger.cells.into_iter().take(4).collect::<Vec<_>>().join(" and "),
            label: trigger.label,
            rows: trigger.rows.into_iter().take(TRIGGER_ROW_COUNT_MAX).collect(),
        };
        Ok(section.triggers.into_iter().take(TRIGGER_COUNT_MAX).map(spec).collect())
    }
}

impl Prepared {
    fn add_model(&mut self, number: i64, files: &[StoredFile]) -> usize {
        let spec = |file: &StoredFile| FileSpec {
            path: file.entry.path.clone(),
            size_bytes: file.entry.size_bytes,
            sha256: hex(&file.entry.sha256),
        };
        let specs = files.iter().map(spec).collect();
        self.files.extend(files.iter().cloned().map(Readable::OfModel));
        let (name, version, csv) = ("champion".to_owned(), number.to_string(), CsvDialect::default());
        self.add(OtherTable { name, version, files: specs, csv, apart: false })
    }

    fn add_data(&mut self, version: &ReadableVersion) -> TrialTable {
        let table = self.add_table(version);
        self.data.push((version.dataset.clone(), version.number, version.id.clone()));
        table
    }

    /// Adds the files of a data version, once.
    pub(crate) fn add_table(&mut self, version: &ReadableVersion) -> TrialTable {
        let name = format!("{}@{}", version.dataset, version.number);
        if let Some(place) = self.others.iter().position(|other| other.name == version.dataset && other.version == name) {
            return TrialTable { name, place, label: version.label.clone() };
        }
        let spec = |(path, object): &(String, StoredObject)| FileSpec {
            path: path.clone(),
            size_bytes: object.size_bytes,
            sha256: hex(&object.sha256),
        };
        let specs = version.files.iter().map(spec).collect();
        self.files.extend(version.files.iter().map(|(_, object)| Readable::OfData(Box::new(object.clone()))));
        let table =
            OtherTable { name: version.dataset.clone(), version: name.clone(), files: specs, csv: version.csv, apart: false };
        let place = self.add(table);
        TrialTable { name, place, label: version.label.clone() }
    }

    fn add(&mut self, table: OtherTable) -> usize {
        self.others.push(table);
        self.others.len().saturating_sub(1)
    }
}
