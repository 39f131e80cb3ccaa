//! `admissions.show`, `admissions.list` and `admissions.findings`: where versions stand, and what was found.

use data::{FoundFinding, Which};
use gate::{Action, Operation, Permit, Target};
use kernel::Problem;
use vault::db::Reader;
use vault::objects::Body;

use super::subject_of;
use crate::limits::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::port::has_files_at;
use crate::store::standings::{After, Wanted};
use crate::store::{documents, inspections, standings};
use crate::types::no_version;
use crate::{Admission, DocumentKind, Inspection, Standing};

/// Shows where a version stands.
pub struct ShowStanding {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version: a number, `@` and an alias, or `latest`.
    pub version: String,
}

/// A version with its last inspection.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Where it stands.
    pub standing: Standing,
    /// The last inspection, whatever became of it.
    pub inspection: Option<Inspection>,
    /// Why it may not be promoted; none if it may.
    pub obstacle: Option<String>,
    /// Whether any file of it is on this server.
    pub has_files: bool,
    /// How whoever decided its state is called; none where its inspection did.
    pub decider: Option<String>,
}

impl Operation for ShowStanding {
    const ACTION: Action = super::SHOW;
    type Output = Shown;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Shown, Problem> {
        let subject = subject_of(&permit)?;
        let (room, now) = (self.room.clone(), permit.entry().at);
        let read = move |reader: &mut Reader<'_>| {
            let mut standing = standings::get(reader, &subject)?.ok_or_else(no_version)?;
            let inspection = inspections::last(reader, &subject)?;
            let obstacle = room.promotable(reader, &standing).err().map(|problem| problem.to_string());
            let decider = standing.decision.as_ref().map(|decision| data::name_of(reader, &decision.by)).transpose()?.flatten();
            let has_files = has_files_at(reader, standing.place.as_ref())?;
            standing.state = standing.state_at(now);
            Ok(Shown { standing, inspection, obstacle, has_files, decider })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Lists where the versions of a workspace stand.
pub struct ListStandings {
    /// The room.
    pub room: Admission,
    /// The model; those of all models where none is named.
    pub name: Option<String>,
    /// Only of models whose names have this part, in small or large letters.
    pub part: Option<String>,
    /// Which of them.
    pub which: Which,
    /// What the page before gave as `next`.
    pub after: Option<String>,
    /// Rows of a page.
    pub rows: Option<usize>,
}

/// The part of a name that is looked for.
const PART_BYTES_MAX: usize = 256;

/// A page of versions.
#[derive(Clone, Debug, PartialEq)]
pub struct StandingPage {
    /// The versions: by name and falling number; of one state, the newest first; waivers, by their end.
    pub rows: Vec<Standing>,
    /// What the next page is asked with; none at the end.
    pub next: Option<String>,
}

/// `NAME/NUMBER`, or where not all are listed `MOMENT/MODEL_ID/NUMBER`.
fn after_from(text: &str, which: Which) -> Result<After, Problem> {
    let read = || {
        let (before, number) = text.rsplit_once('/')?;
        let number = number.parse().ok()?;
        if which == Which::All {
            return Some(After::Name(before.to_owned(), number));
        }
        let (at, model_id) = before.split_once('/')?;
        Some(After::Moment(at.parse().ok()?, model_id.to_owned(), number))
    };
    read().ok_or_else(|| Problem::invalid("`after` is what the page before gave as `next`"))
}

fn after_text(after: &After) -> String {
    match after {
        After::Name(name, number) => format!("{name}/{number}"),
        After::Moment(at, model_id, number) => format!("{at}/{model_id}/{number}"),
    }
}

impl Operation for ListStandings {
    const ACTION: Action = super::LIST;
    type Output = StandingPage;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<StandingPage, Problem> {
        let rows = match self.rows.unwrap_or(PAGE_ROWS_DEFAULT) {
            rows @ 1..=PAGE_ROWS_MAX => rows,
            _ => return Err(Problem::invalid(format!("a page has 1 to {PAGE_ROWS_MAX} rows"))),
        };
        let (name, part, which, now) = (self.name, self.part, self.which, permit.entry().at);
        if part.as_ref().is_some_and(|part| part.len() > PART_BYTES_MAX) {
            return Err(Problem::invalid(format!("a part of a name has at most {PART_BYTES_MAX} bytes")));
        }
        let after = self.after.as_deref().map(|after| after_from(after, which)).transpose()?;
        let (workspace, scope) = (permit.workspace()?.to_owned(), permit.scope().clone());
        let read = move |reader: &mut Reader<'_>| {
            let (of, rows) = (name.as_deref(), rows.saturating_add(1));
            let wanted = Wanted { workspace: &workspace, scope: &scope, of, part: part.as_deref(), which, after, rows, now };
            Ok(standings::list(reader, &wanted)?)
        };
        let mut found = self.room.db().read(&permit, read).await?;
        let more = found.len() > rows;
        found.truncate(rows);
        let next = found.last().filter(|_| more).map(|last| after_text(&standings::after_of(last, which)));
        found.iter_mut().for_each(|standing| standing.state = standing.state_at(now));
        Ok(StandingPage { rows: found, next })
    }
}

/// Shows the findings of a version's last inspection that left a report.
pub struct Findings {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
}

/// Findings, and of which inspection.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The last inspection, whatever became of it.
    pub last: Option<Inspection>,
    /// The one whose findings these are.
    pub inspection: Option<Inspection>,
    /// The findings, the gravest first.
    pub findings: Vec<FoundFinding>,
}

impl Operation for Findings {
    const ACTION: Action = super::FINDINGS;
    type Output = Found;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Found, Problem> {
        let subject = subject_of(&permit)?;
        let read = move |reader: &mut Reader<'_>| {
            let inspection = inspections::last_done(reader, &subject)?;
            let findings = match &inspection {
                Some(done) => inspections::findings(reader, &done.id)?,
                None => Vec::new(),
            };
            Ok(Found { last: inspections::last(reader, &subject)?, inspection, findings })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Reads a document of a version's last inspection.
pub struct ReadDocument {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// Which document.
    pub kind: DocumentKind,
}

/// A document on its way.
pub struct Document {
    /// Which one.
    pub kind: DocumentKind,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its bytes: it is small, and whole before the answer begins.
    pub body: Body,
}

impl Operation for ReadDocument {
    const ACTION: Action = super::FINDINGS;
    type Output = Document;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Document, Problem> {
        let subject = subject_of(&permit)?;
        let kind = self.kind;
        let found = self.room.db().read_point(&permit, move |reader| Ok(documents::last(reader, &subject, kind)?)).await?;
        let object = found.ok_or_else(|| {
            Problem::not_found(format!("the version has no `{}`; its inspection has not ended with a report", kind.word()))
        })?;
        let body = self.room.0.objects.open(&permit, &object, 0..object.size_bytes).await?;
        Ok(Document { kind, size_bytes: object.size_bytes, sha256: object.sha256, body })
    }
}
