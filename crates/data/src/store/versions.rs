//! The SQL of data sets and their versions.

use gate::{DataClasses, DataState};
use kernel::{Kind, Micros, Problem, random_id};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::opt_digest;
use crate::limits::{DATASET_COUNT_MAX, OPEN_COUNT_MAX, VERSION_COUNT_MAX};
use crate::types::{DatasetSummary, Decision, DecisionKind, Parent, Verdict, Version, VersionName, Which};

const COLUMNS: &str = "v.version_id, d.name, v.number, v.state, v.verdict, v.committer, v.opened_at, v.committed_at, \
    v.manifest_sha256, v.file_count, v.size_bytes, v.row_count, v.column_count, v.format, v.roles, v.source_uri, v.source_id, \
    v.signature, v.licence, v.data_owner, v.purpose, v.run_id, v.reference_id, v.is_personal, v.is_special, v.is_health, \
    v.is_financial, v.decided_at, v.decided_by, v.decided_how, v.decided_why, v.waiver_until, \
    (SELECT p.name FROM principal AS p WHERE p.id = v.committer), v.csv";

const FROM: &str = "FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id";

fn version_from(row: &Row<'_>) -> Result<Version, DbError> {
    let verdict = row.opt_text(4)?;
    let decided = row.opt_text(29)?;
    let decision = match decided.as_deref().map(DecisionKind::parse) {
        Some(kind) => Some(Decision {
            kind: kind.ok_or(DbError::Shape(29))?,
            by: row.text(28)?,
            at: Micros(row.int(27)?),
            why: row.text(30)?,
        }),
        None => None,
    };
    Ok(Version {
        id: row.text(0)?,
        dataset: row.text(1)?,
        number: row.opt_int(2)?,
        state: DataState::parse(&row.text(3)?).ok_or(DbError::Shape(3))?,
        verdict: verdict.map(|word| Verdict::parse(&word).ok_or(DbError::Shape(4))).transpose()?,
        committer: row.text(5)?,
        committer_name: row.opt_text(32)?,
        opened_at: Micros(row.int(6)?),
        committed_at: row.opt_int(7)?.map(Micros),
        manifest_sha256: opt_digest(row, 8)?,
        file_count: row.int(9)?,
        size_bytes: row.int(10)?,
        row_count: row.opt_int(11)?,
        column_count: row.opt_int(12)?,
        format: row.opt_text(13)?,
        csv: serde_json::from_str(&row.text(33)?).map_err(|_| DbError::Shape(33))?,
        roles: serde_json::from_str(&row.text(14)?).map_err(|_| DbError::Shape(14))?,
        source_uri: row.opt_text(15)?,
        source_id: row.opt_text(16)?,
        signature: row.opt_bytes(17)?,
        licence: row.opt_text(18)?,
        data_owner: row.opt_text(19)?,
        purpose: row.opt_text(20)?,
        run_id: row.opt_text(21)?,
        reference_id: row.opt_text(22)?,
        classes: DataClasses { personal: row.flag(23)?, special: row.flag(24)?, health: row.flag(25)?, financial: row.flag(26)? },
        decision,
        waiver_until: row.opt_int(31)?.map(Micros),
    })
}

/// The id behind a version's name.
pub(crate) fn find(reader: &mut Reader<'_>, dataset_id: &str, name: &VersionName) -> Result<Option<String>, DbError> {
    let by = |reader: &mut Reader<'_>, end: &str, binds: &[Bind<'_>]| {
        let sql = format!("SELECT version_id FROM data_version WHERE dataset_id = $1 AND {end}");
        reader.query_one(&sql, binds, |row| row.text(0))
    };
    match name {
        VersionName::Number(number) => by(reader, "number = $2", &[dataset_id.into(), (*number).into()]),
        VersionName::Id(id) => by(reader, "version_id = $2", &[dataset_id.into(), id.into()]),
        VersionName::Latest => by(reader, "number IS NOT NULL ORDER BY number DESC LIMIT 1", &[dataset_id.into()]),
        VersionName::Admitted => {
            let end = "number IS NOT NULL AND state = 'admitted' ORDER BY number DESC LIMIT 1";
            by(reader, end, &[dataset_id.into()])
        }
    }
}

pub(crate) fn get(reader: &mut Reader<'_>, version_id: &str) -> Result<Option<Version>, DbError> {
    let sql = format!("SELECT {COLUMNS} {FROM} WHERE v.version_id = $1");
    reader.query_one(&sql, &[version_id.into()], version_from)
}

/// The id of the data set that a version is of.
pub(crate) fn dataset_of(reader: &mut Reader<'_>, version_id: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT dataset_id FROM data_version WHERE version_id = $1";
    reader.query_one(sql, &[version_id.into()], |row| row.text(0))
}

/// The next versions of a data set, the newest first; open ones by their id alone.
pub(crate) fn list(reader: &mut Reader<'_>, dataset_id: &str, below: i64, count: i64) -> Result<Vec<Version>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} {FROM} WHERE v.dataset_id = $1 AND v.number IS NOT NULL AND v.number < $2 ORDER BY v.number DESC LIMIT $3"
    );
    reader.query(&sql, &[dataset_id.into(), below.into(), count.into()], version_from)
}

/// Which data sets a page has.
pub(crate) struct Wanted<'a> {
    pub(crate) workspace: &'a str,
    /// These alone.
    pub(crate) only: Option<&'a [String]>,
    pub(crate) which: Which,
    /// Behind this name.
    pub(crate) after: &'a str,
    pub(crate) count: i64,
}

/// The next data sets of a workspace, by name.
pub(crate) fn datasets(reader: &mut Reader<'_>, wanted: &Wanted<'_>, now: Micros) -> Result<Vec<DatasetSummary>, DbError> {
    let (sql, binds) = datasets_asked(wanted, now);
    reader.query(&sql, &binds, |row| {
        Ok(DatasetSummary {
            id: row.text(0)?,
            name: row.text(1)?,
            created_at: Micros(row.int(2)?),
            created_by: row.text(3)?,
            latest_number: row.int(4)?,
            latest_state: row.opt_text(5)?.as_deref().and_then(DataState::parse),
            admitted_number: row.opt_int(6)?,
            waiver_until: row.opt_int(7)?.map(Micros),
        })
    })
}

/// The statement of [`datasets`].
pub(crate) fn datasets_asked<'a>(wanted: &Wanted<'a>, now: Micros) -> (String, Vec<Bind<'a>>) {
    let mut binds: Vec<Bind<'a>> = vec![wanted.workspace.into(), wanted.after.into(), wanted.count.into(), now.0.into()];
    let (from, condition) = match wanted.which {
        Which::All => ("data_set d", ""),
        // Most are: a page of them is full soon.
        Which::In(DataState::Admitted) => {
            binds.push(DataState::Admitted.word().into());
            let newest = "AND EXISTS (SELECT 1 FROM data_version v
                   WHERE v.dataset_id = d.dataset_id AND v.number = d.last_number AND v.state = $5)";
            ("data_set d", newest)
        }
        // Few are: they are looked up by their state, and not each data set for its own.
        Which::In(state) => {
            binds.push(state.word().into());
            let newest = "AND n.workspace = $1 AND n.state = $5 AND d.dataset_id = n.dataset_id AND n.number = d.last_number";
            ("data_version n CROSS JOIN data_set d", newest)
        }
        // Few have one: they are looked up once, and not each data set for its own.
        Which::WaivedUntil(end) => {
            binds.push(end.0.into());
            let ends =
                "AND d.dataset_id IN (SELECT v.dataset_id FROM data_version v WHERE v.workspace = $1 AND v.state = 'admitted'
                   AND v.waiver_until > $4 AND v.waiver_until < $5)";
            ("data_set d", ends)
        }
    };
    let mut narrowed = condition.to_owned();
    if let Some(ids) = wanted.only {
        let first = binds.len();
        let places: Vec<String> = (1..=ids.len()).map(|place| format!("${}", first + place)).collect();
        narrowed.push_str(&format!(" AND d.dataset_id IN ({})", places.join(", ")));
        binds.extend(ids.iter().map(Bind::from));
    }
    let sql = format!(
        "SELECT d.dataset_id, d.name, d.created_at, d.created_by, d.last_number,
                   (SELECT v.state FROM data_version v WHERE v.dataset_id = d.dataset_id AND v.number = d.last_number),
                   (SELECT MAX(v.number) FROM data_version v WHERE v.dataset_id = d.dataset_id AND v.state = 'admitted'
                       AND (v.waiver_until IS NULL OR v.waiver_until > $4)),
                   (SELECT MIN(v.waiver_until) FROM data_version v WHERE v.dataset_id = d.dataset_id AND v.state = 'admitted' AND v.waiver_until > $4)
               FROM {from} WHERE d.workspace = $1 AND d.name > $2 {narrowed} ORDER BY d.name LIMIT $3"
    );
    (sql, binds)
}

/// The data set of this name, which is made if there is none yet.
pub(crate) fn dataset_named(
    writer: &mut Writer<'_>,
    workspace: &str,
    name: &str,
    caller: &str,
    at: Micros,
) -> Result<String, Problem> {
    let known = "SELECT dataset_id FROM data_set WHERE workspace = $1 AND name = $2";
    if let Some(id) = writer.query_one(known, &[workspace.into(), name.into()], |row| row.text(0))? {
        return Ok(id);
    }
    let count = "SELECT COUNT(*) FROM data_set WHERE workspace = $1";
    if writer.query_one(count, &[workspace.into()], |row| row.int(0))?.unwrap_or_default() >= DATASET_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("a workspace has at most {DATASET_COUNT_MAX} data sets")));
    }
    writer.execute(
        "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by) VALUES ($1, $2, $3, 0, $4, $5)
         ON CONFLICT (workspace, name) DO NOTHING",
        &[(&random_id()).into(), workspace.into(), name.into(), at.0.into(), caller.into()],
    )?;
    let made = writer.query_one(known, &[workspace.into(), name.into()], |row| row.text(0))?;
    made.ok_or_else(|| Problem::internal("a new data set could not be read back", "the row is not there"))
}

/// Opens a version.
pub(crate) fn open(
    writer: &mut Writer<'_>,
    dataset_id: &str,
    workspace: &str,
    caller: &str,
    at: Micros,
) -> Result<String, Problem> {
    let sql = "SELECT COUNT(*) FROM data_version WHERE dataset_id = $1 AND state = 'open'";
    if writer.query_one(sql, &[dataset_id.into()], |row| row.int(0))?.unwrap_or_default() >= OPEN_COUNT_MAX {
        let message =
            format!("{OPEN_COUNT_MAX} versions of this data set are open already; commit some, or wait until they expire");
        return Err(Problem::new(Kind::TooMany, message));
    }
    let id = random_id();
    writer.execute(
        "INSERT INTO data_version (version_id, dataset_id, workspace, state, committer, opened_at, file_count, size_bytes,
             roles, is_personal, is_special, is_health, is_financial)
         VALUES ($1, $2, $3, 'open', $4, $5, 0, 0, '{}', 0, 0, 0, 0)",
        &[(&id).into(), dataset_id.into(), workspace.into(), caller.into(), at.0.into()],
    )?;
    Ok(id)
}

/// What a commit writes.
pub(crate) struct Seal<'a> {
    pub(crate) version_id: &'a str,
    pub(crate) dataset_id: &'a str,
    pub(crate) at: Micros,
    pub(crate) manifest: &'a artifacts::Manifest,
    pub(crate) wish: &'a crate::types::CommitWish,
    pub(crate) reference: Option<&'a str>,
}

/// Seals an open version: gives its number.
pub(crate) fn seal(writer: &mut Writer<'_>, seal: &Seal<'_>) -> Result<i64, Problem> {
    let sql = "UPDATE data_set SET last_number = last_number + 1 WHERE dataset_id = $1 RETURNING last_number";
    let number = writer.query_one(sql, &[seal.dataset_id.into()], |row| row.int(0))?;
    let number = number.ok_or_else(crate::types::no_version)?;
    if number > VERSION_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("a data set has at most {VERSION_COUNT_MAX} versions")));
    }
    let wish = seal.wish;
    let roles = serde_json::to_string(&wish.roles).map_err(|e| Problem::internal("the columns' roles cannot be written", e))?;
    let csv = serde_json::to_string(&wish.csv).map_err(|e| Problem::internal("the CSV dialect cannot be written", e))?;
    let file_count = i64::try_from(seal.manifest.entries.len()).unwrap_or(i64::MAX);
    let changed = writer.execute(
        "UPDATE data_version SET number = $1, state = 'quarantined', committed_at = $2, manifest_sha256 = $3, file_count = $4,
             size_bytes = $5, format = $6, roles = $7, source_uri = $8, signature = $9, licence = $10, data_owner = $11,
             purpose = $12, run_id = $13, reference_id = $14, csv = $15
         WHERE version_id = $16 AND state = 'open'",
        &[
            number.into(),
            seal.at.0.into(),
            Bind::Bytes(&seal.manifest.digest),
            file_count.into(),
            super::signed(seal.manifest.size_bytes())?.into(),
            (&wish.format).into(),
            (&roles).into(),
            (&wish.source_uri).into(),
            wish.signature.as_ref().map(|bytes| Bind::Bytes(bytes)).unwrap_or(Bind::Null),
            (&wish.licence).into(),
            (&wish.data_owner).into(),
            (&wish.purpose).into(),
            wish.run.as_ref().map(|(run, _)| run.as_str()).into(),
            seal.reference.into(),
            (&csv).into(),
            seal.version_id.into(),
        ],
    )?;
    if changed != 1 {
        return Err(Problem::new(Kind::Conflict, "the version was committed or swept meanwhile"));
    }
    Ok(number)
}

pub(crate) fn add_parent(writer: &mut Writer<'_>, version_id: &str, parent_id: &str, how: &str) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO data_parent (version_id, parent_id, how) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[version_id.into(), parent_id.into(), how.into()],
    )?;
    Ok(())
}

pub(crate) fn parents(reader: &mut Reader<'_>, version_id: &str) -> Result<Vec<Parent>, DbError> {
    let sql = "SELECT v.number, p.how FROM data_parent p JOIN data_version v ON v.version_id = p.parent_id
               WHERE p.version_id = $1 ORDER BY v.number";
    let mut parents =
        reader.query(sql, &[version_id.into()], |row| Ok(Parent { number: row.int(0)?, how: row.text(1)?, cleaning: None }))?;
    if let Some(parent) = parents.iter_mut().find(|parent| parent.how == "cleaned") {
        parent.cleaning = super::cleanings::get(reader, version_id)?.map(|(_, cleaning)| cleaning);
    }
    Ok(parents)
}

/// The version before `number` that is admitted, to compare with.
pub(crate) fn admitted_before(reader: &mut Reader<'_>, dataset_id: &str) -> Result<Option<String>, DbError> {
    find(reader, dataset_id, &VersionName::Admitted)
}

/// Sets a version's state without a decision: it is being inspected, or waits again.
pub(crate) fn set_state(writer: &mut Writer<'_>, version_id: &str, from: &[DataState], to: DataState) -> Result<bool, DbError> {
    let words: Vec<String> = from.iter().map(|state| format!("'{}'", state.word())).collect();
    let sql = format!("UPDATE data_version SET state = $1 WHERE version_id = $2 AND state IN ({})", words.join(", "));
    Ok(writer.execute(&sql, &[to.word().into(), version_id.into()])? == 1)
}

/// Writes a decision down, if the version is in one of the states `from`.
pub(crate) fn decide(
    writer: &mut Writer<'_>,
    version_id: &str,
    from: &[DataState],
    to: DataState,
    decision: &Decision,
    waiver_until: Option<Micros>,
) -> Result<(), Problem> {
    let words: Vec<String> = from.iter().map(|state| format!("'{}'", state.word())).collect();
    let sql = format!(
        "UPDATE data_version SET state = $1, decided_at = $2, decided_by = $3, decided_how = $4, decided_why = $5,
             waiver_until = $6 WHERE version_id = $7 AND state IN ({})",
        words.join(", ")
    );
    let changed = writer.execute(
        &sql,
        &[
            to.word().into(),
            decision.at.0.into(),
            (&decision.by).into(),
            decision.kind.word().into(),
            (&decision.why).into(),
            waiver_until.map(|until| until.0).into(),
            version_id.into(),
        ],
    )?;
    if changed != 1 {
        return Err(Problem::new(Kind::Conflict, "the version's state changed meanwhile; look at it again"));
    }
    Ok(())
}

/// What an inspection found out about a version.
pub(crate) struct Learnt<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) classes: DataClasses,
    pub(crate) row_count: i64,
    pub(crate) column_count: i64,
    pub(crate) source_id: Option<&'a str>,
}

/// What rules of retention ask of a version.
pub(crate) struct KnownToRules {
    pub(crate) dataset: String,
    pub(crate) workspace: String,
    pub(crate) number: i64,
    pub(crate) classes: Vec<&'static str>,
}

/// As far as rules ask; none for a version that is open still.
pub(crate) fn known_to_rules(reader: &mut Reader<'_>, version_id: &str) -> Result<Option<KnownToRules>, DbError> {
    let sql = "SELECT d.name, v.workspace, v.number, v.is_personal, v.is_special, v.is_health, v.is_financial
               FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id WHERE v.version_id = $1 AND v.number IS NOT NULL";
    reader.query_one(sql, &[version_id.into()], |row| {
        let mut classes = Vec::new();
        for (column, class) in [(3, "personal"), (4, "special"), (5, "health"), (6, "financial")] {
            if row.flag(column)? {
                classes.push(class);
            }
        }
        Ok(KnownToRules { dataset: row.text(0)?, workspace: row.text(1)?, number: row.int(2)?, classes })
    })
}

/// The committed version of a workspace that is called `NAME@3`, or has this id: its id, and what people call it.
pub(crate) fn called(reader: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<(String, String)>, DbError> {
    let (dataset, number) = name.rsplit_once('@').unwrap_or_default();
    let number: i64 = number.parse().unwrap_or_default();
    let sql = format!(
        "SELECT v.version_id, d.name, v.number {FROM}
         WHERE v.workspace = $1 AND v.number IS NOT NULL AND (v.version_id = $2 OR (d.name = $3 AND v.number = $4)) LIMIT 1"
    );
    reader.query_one(&sql, &[workspace.into(), name.into(), dataset.into(), number.into()], |row| {
        Ok((row.text(0)?, format!("{}@{}", row.text(1)?, row.int(2)?)))
    })
}

pub(crate) fn learn(writer: &mut Writer<'_>, version_id: &str, learnt: &Learnt<'_>) -> Result<(), DbError> {
    writer.execute(
        "UPDATE data_version SET verdict = $1, is_personal = $2, is_special = $3, is_health = $4, is_financial = $5,
             row_count = $6, column_count = $7, source_id = $8 WHERE version_id = $9",
        &[
            learnt.verdict.word().into(),
            learnt.classes.personal.into(),
            learnt.classes.special.into(),
            learnt.classes.health.into(),
            learnt.classes.financial.into(),
            learnt.row_count.into(),
            learnt.column_count.into(),
            learnt.source_id.into(),
            version_id.into(),
        ],
    )?;
    Ok(())
}

/// Versions that were opened before `before` and never committed.
pub(crate) fn stale(reader: &mut Reader<'_>, before: Micros, count: i64) -> Result<Vec<String>, DbError> {
    let sql = "SELECT version_id FROM data_version WHERE state = 'open' AND opened_at < $1 ORDER BY opened_at LIMIT $2";
    reader.query(sql, &[before.0.into(), count.into()], |row| row.text(0))
}

/// Takes an open version away.
pub(crate) fn forget(writer: &mut Writer<'_>, version_id: &str) -> Result<(), DbError> {
    writer.execute("DELETE FROM data_version WHERE version_id = $1 AND state = 'open'", &[version_id.into()])?;
    Ok(())
}

/// Versions whose waivers have ended go back into quarantine. Gives how many.
pub(crate) fn end_waivers(writer: &mut Writer<'_>, now: Micros) -> Result<u64, DbError> {
    writer.execute(
        "UPDATE data_version SET state = 'quarantined', waiver_until = NULL
         WHERE waiver_until IS NOT NULL AND waiver_until <= $1 AND state = 'admitted'",
        &[now.0.into()],
    )
}

/// The accounts of one hand: `principal`, its owner if it is a service account, and the service accounts of both.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn hands(reader: &mut Reader<'_>, principal: &str) -> Result<Vec<String>, DbError> {
    let sql = "SELECT owner FROM principal WHERE id = $1 AND kind = 'service'";
    let owner = reader.query_one(sql, &[principal.into()], |row| row.text(0))?;
    let person = owner.filter(|owner| !owner.is_empty()).unwrap_or_else(|| principal.to_owned());
    let services = "SELECT id FROM principal WHERE owner = $1 AND kind = 'service'";
    let mut all = reader.query(services, &[(&person).into()], |row| row.text(0))?;
    all.extend([person, principal.to_owned()]);
    Ok(all)
}

/// How an account is called; none for what is no account, such as the inspector.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn name_of(reader: &mut Reader<'_>, principal: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT name FROM principal WHERE id = $1", &[principal.into()], |row| row.text(0))
}
