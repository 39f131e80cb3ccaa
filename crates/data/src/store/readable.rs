//! A version for another room of this server that looks into it as the inspector does.

use gate::DataState;
use inspection::CsvDialect;
use kernel::{Micros, Problem};
use vault::db::Reader;
use vault::objects::StoredObject;

use super::{files, is_waiver_over, versions};
use crate::types::{DocumentKind, VersionName};

/// A committed version with its files.
#[derive(Clone, Debug)]
pub struct ReadableVersion {
    /// Its id.
    pub id: String,
    /// The data set's name.
    pub dataset: String,
    /// Its number.
    pub number: i64,
    /// Its state at the time that was asked for.
    pub state: DataState,
    /// The column that its committer called the label.
    pub label: Option<String>,
    /// How its CSV files are written, as far as its committer said.
    pub csv: CsvDialect,
    /// Its files by path.
    pub files: Vec<(String, StoredObject)>,
    /// The report of its last inspection.
    pub report: Option<StoredObject>,
}

/// A version of this workspace at `now`; none if there is none. Whoever asks has a permit of the inspector's: what it reads of
/// the files goes to a worker and nowhere else.
///
/// # Errors
/// As the engine's.
pub fn readable(
    reader: &mut Reader<'_>,
    workspace: &str,
    dataset: &str,
    number: i64,
    now: Micros,
) -> Result<Option<ReadableVersion>, Problem> {
    let sql = "SELECT dataset_id FROM data_set WHERE workspace = $1 AND name = $2";
    let Some(dataset_id) = reader.query_one(sql, &[workspace.into(), dataset.into()], |row| row.text(0))? else {
        return Ok(None);
    };
    let Some(id) = versions::find(reader, &dataset_id, &VersionName::Number(number))? else { return Ok(None) };
    let Some(version) = versions::get(reader, &id)? else { return Ok(None) };
    let over = is_waiver_over(version.state, version.waiver_until, now);
    Ok(Some(ReadableVersion {
        state: if over { DataState::Quarantined } else { version.state },
        label: version.roles.label.clone(),
        csv: version.csv,
        files: files::all(reader, &id)?,
        report: files::document(reader, &id, DocumentKind::Report)?,
        dataset: version.dataset,
        number,
        id,
    }))
}
