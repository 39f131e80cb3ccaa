//! Tables of other data sets that rules speak of: keys that must exist there, rows that must not stand here too.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Contract, KeySet, NeededKeys};
use inspection::{Finding, JobSpec, OtherTable, catalogue};
use tables::{DataFile, Table};

use super::draft::Draft;

/// Another table with its files.
pub(crate) struct Other {
    /// What it is.
    pub spec: OtherTable,
    /// Its files.
    pub files: Vec<DataFile>,
}

/// Keys by the names under which a check wants them.
pub(super) type Keys = BTreeMap<String, Arc<KeySet>>;

/// The keys that the contract's rules need. What cannot be had is left out: then the rule is not run, and says so.
/// Keys of the table itself are in its own files, never in another version of it.
pub(super) fn keys(job: &JobSpec, contract: &Contract, (own, others): (&[DataFile], &[Other]), draft: &mut Draft<'_>) -> Keys {
    let mut keys = Keys::new();
    let own_name = contract.table_of(&job.dataset);
    let Ok(needed) = contract.needed_keys(own_name) else { return keys };
    let itself = itself(job, own);
    for needed in needed {
        let table = needed.table();
        let fits = |other: &&Other| other.spec.name == table || other.spec.version == table;
        let of_itself = own_name.is_some_and(|own_name| needed.is_of(own_name));
        let Some(other) = (if of_itself { Some(&itself) } else { others.iter().find(fits) }) else { continue };
        draft.news.progress("other tables", 0, None);
        match one(job, &needed, other) {
            Ok(set) => {
                keys.insert(needed.name.clone(), Arc::new(set));
            }
            Err(error) => {
                let detail = format!("the keys of `{}` cannot be had: {error}", other.spec.version);
                draft.find(Finding::new(&catalogue::RULE_NOT_RUN, detail));
            }
        }
    }
    keys
}

/// The table that is inspected, as one that a rule speaks of. It is opened anew: what its readers notice is told once.
fn itself(job: &JobSpec, own: &[DataFile]) -> Other {
    let version = format!("{}@{}", job.dataset, job.version);
    let spec = OtherTable { name: job.dataset.clone(), version, files: Vec::new(), csv: job.csv, apart: false };
    Other { spec, files: own.to_vec() }
}

fn one(job: &JobSpec, needed: &NeededKeys, other: &Other) -> Result<KeySet, String> {
    let columns = needed.columns_there().ok_or("the reference does not tell the column; write it as `TABLE.COLUMN`")?;
    let mut set = KeySet::new(job.seed);
    let table = open(other)?;
    for index in 0..table.partitions().len() {
        for batch in table.read(index, None).map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            set.add(&batch, &columns).map_err(|error| error.to_string())?;
        }
    }
    Ok(set)
}

/// Opens another table.
pub(crate) fn open(other: &Other) -> Result<Table, String> {
    Table::open(other.files.clone(), &sandbox::read_options(other.spec.csv)).map_err(|error| error.to_string())
}
