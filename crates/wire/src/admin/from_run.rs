//! `/datasets/{dataset}/from-run`: a version from the artifacts of a run, or from a dataset that it logged with `log_input`.
//!
//! It is several verbs, asked one after the other as the caller: whoever may not read the artifacts commits nothing of them. The
//! files are copied, not shared: so deleting the run's artifacts leaves the version whole, and erasing the version leaves the
//! run's.

use artifacts::{Artifacts, Fetched, ListArtifacts, ListedEntry, Owner, Place, ReadArtifact};
use data::ops::{Commit, Committed, OpenVersion, PutFile, UseVersion};
use data::{CommitWish, Data};
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Kind, Problem};
use serde::Deserialize;
use serde_json::Value;
use tracking::Tracking;
use tracking::ops::GetRun;

use super::datasets::{CommitBody, PREFIX, committed_answer};
use super::shape::body;
use crate::{Chosen, Door, Inbound};

/// How an address of artifacts begins, in MLflow's words.
const ARTIFACTS_SCHEME: &str = "mlflow-artifacts:/";
const RUNS_SCHEME: &str = "runs:/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromRun {
    run_id: String,
    /// The file or folder below the run's artifacts.
    path: Option<String>,
    /// The name of a dataset that the run logged, instead.
    input: Option<String>,
    #[serde(default)]
    commit: CommitBody,
}

/// The rooms that it asks.
#[derive(Clone)]
struct Rooms {
    data: Data,
    artifacts: Artifacts,
    tracking: Tracking,
}

/// Adds the route.
pub fn routes(door: &mut Door, data: &Data, artifacts: &Artifacts, tracking: &Tracking) {
    let rooms = Rooms { data: data.clone(), artifacts: artifacts.clone(), tracking: tracking.clone() };
    let actions = [
        UseVersion::ACTION,
        OpenVersion::ACTION,
        GetRun::ACTION,
        ListArtifacts::ACTION,
        ReadArtifact::ACTION,
        PutFile::ACTION,
        Commit::ACTION,
    ];
    door.choice(Method::POST, &format!("{PREFIX}/{{dataset}}/from-run"), &actions, move |inbound: &Inbound| {
        let (dataset, wish) = (inbound.path("dataset").to_owned(), body::<FromRun>(inbound)?);
        let rooms = rooms.clone();
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { committed_answer(&rooms.copy(visitor, dataset, wish).await?) })))
    });
}

impl Rooms {
    async fn copy(self, visitor: &Visitor, dataset: String, wish: FromRun) -> Result<Committed, Problem> {
        let FromRun { run_id, path, input, commit } = wish;
        let mut commit: CommitWish = commit.wish_of(&self.data, visitor).await?;
        let place = match (path, input) {
            (Some(_), Some(_)) => return Err(Problem::invalid("name a path or an input, not both")),
            (path, None) => Place::of(Owner::Run(run_id.clone()), path.as_deref())?,
            (None, Some(input)) => self.logged(visitor, &run_id, &input).await?,
        };
        let files = self.files(visitor, &place).await?;
        // The server itself takes the files from there; whose they are otherwise is the client's word, as ever.
        let Owner::Run(source) = &place.owner else { return Err(Problem::invalid("only a run's artifacts are taken")) };
        commit.run = Some((source.clone(), lineage::Trust::Observed));
        if commit.source_uri.is_none() {
            commit.source_uri = Some(format!("{RUNS_SCHEME}{source}/{}", place.path.as_ref().map_or("", |path| path.as_str())));
        }
        let opened = visitor.call(OpenVersion { room: self.data.clone(), dataset: dataset.clone() }).await?;
        for file in files {
            self.copy_file(visitor, &dataset, &opened.version_id, &place, &file).await?;
        }
        visitor.call(Commit { room: self.data, dataset, version: opened.version_id, wish: commit }).await
    }

    /// All files below a place; the place itself if it is a file.
    async fn files(&self, visitor: &Visitor, place: &Place) -> Result<Vec<ListedEntry>, Problem> {
        let mut files = Vec::new();
        let mut folders = vec![place.clone()];
        while let Some(folder) = folders.pop() {
            let listing = visitor.call(ListArtifacts { room: self.artifacts.clone(), place: folder }).await?;
            for entry in listing.entries {
                if entry.is_folder() {
                    folders.push(Place::of(place.owner.clone(), Some(&entry.path))?);
                } else {
                    files.push(entry);
                }
                if i64::try_from(files.len() + folders.len()).unwrap_or(i64::MAX) > data::limits::FILE_COUNT_MAX {
                    let message = format!("a version has at most {} files; pack them", data::limits::FILE_COUNT_MAX);
                    return Err(Problem::new(Kind::TooLarge, message));
                }
            }
        }
        // A file has no entries; reading it finds out whether it is there.
        if files.is_empty() {
            let path = place.path.as_ref().ok_or_else(|| Problem::invalid("the run has no artifacts"))?;
            files.push(ListedEntry { path: path.as_str().to_owned(), size_bytes: Some(0) });
        }
        Ok(files)
    }

    async fn copy_file(
        &self,
        visitor: &Visitor,
        dataset: &str,
        version: &str,
        from: &Place,
        file: &ListedEntry,
    ) -> Result<(), Problem> {
        let place = Place::of(from.owner.clone(), Some(&file.path))?;
        let read = ReadArtifact { room: self.artifacts.clone(), place, wanted: artifacts::Wanted::Whole };
        let Fetched::File(download) = visitor.call(read).await? else {
            return Err(Problem::internal("an artifact could not be read whole", "out of range"));
        };
        let put = PutFile {
            room: self.data.clone(),
            dataset: dataset.to_owned(),
            version: version.to_owned(),
            path: below(from, &file.path).to_owned(),
            body: download.body,
            size_hint_bytes: Some(download.size_bytes),
        };
        visitor.call(put).await.map(|_| ())
    }

    /// Where a dataset that a run logged is kept here.
    async fn logged(&self, visitor: &Visitor, run_id: &str, name: &str) -> Result<Place, Problem> {
        let run = visitor.call(GetRun { room: self.tracking.clone(), run_id: run_id.to_owned() }).await?;
        let input = run.data.datasets.iter().find(|input| input.dataset.name == name);
        let input = input.ok_or_else(|| Problem::not_found("the run logged no dataset of this name"))?;
        place_of_source(&input.dataset.source).ok_or_else(|| {
            let message =
                "the dataset's source is not kept here, and this server fetches nothing from elsewhere; commit its files";
            Problem::new(Kind::Conflict, message)
        })
    }
}

/// The path in the version: below the folder that was named, or the file's own name.
fn below<'a>(from: &Place, path: &'a str) -> &'a str {
    match &from.path {
        None => path,
        Some(folder) => match path.strip_prefix(folder.as_str()).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => rest,
            None => path.rsplit('/').next().unwrap_or(path),
        },
    }
}

/// The artifacts that a logged dataset's source names, as MLflow writes it: a JSON object with its `uri` or `url`.
fn place_of_source(source: &str) -> Option<Place> {
    let value: Value = serde_json::from_str(source).ok()?;
    let uri = ["uri", "url"].iter().find_map(|key| value.get(*key).and_then(Value::as_str))?;
    if let Some(rest) = uri.strip_prefix(ARTIFACTS_SCHEME) {
        return Place::parse(rest.trim_start_matches('/')).ok();
    }
    let (run, path) = uri.strip_prefix(RUNS_SCHEME)?.split_once('/')?;
    Place::of(Owner::Run(run.to_owned()), Some(path)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_are_kept_here() {
        let check = |source: &str, expected: Option<(&str, &str)>| {
            let found = place_of_source(source);
            let shown = found.as_ref().and_then(|place| Some((place.owner.id(), place.path.as_ref()?.as_str())));
            assert_eq!(shown, expected, "{source}");
        };
        check(r#"{"uri": "mlflow-artifacts:/1/abc/artifacts/data/a.csv"}"#, Some(("abc", "data/a.csv")));
        check(r#"{"uri": "runs:/abc/data"}"#, Some(("abc", "data")));
        for elsewhere in [r#"{"url": "https://x/y"}"#, r#"{"uri": "/etc/passwd"}"#, "not json", r#"{"tags": {}}"#] {
            check(elsewhere, None);
        }
    }

    #[test]
    fn files_keep_their_place_below_what_was_named() {
        let at = |path: Option<&str>| Place::of(Owner::Run("r".to_owned()), path).unwrap();
        assert_eq!(below(&at(None), "a/b.csv"), "a/b.csv");
        assert_eq!(below(&at(Some("a")), "a/c/b.csv"), "c/b.csv");
        assert_eq!(below(&at(Some("a/b.csv")), "a/b.csv"), "b.csv");
    }
}
