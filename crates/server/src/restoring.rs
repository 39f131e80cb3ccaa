//! Restores a backup without a server: into a fresh folder and, on PostgreSQL, a fresh database, proved before anybody can start on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use artifacts::VerifyObjects;
use audit::AuditLog;
use backup::restore::{self, DATABASE, DUMP, Logged, Loss, Old, Replayed, Unpacked};
use backup::{Approval, BackupConfig, BackupError, Chain, Restored, Signed, Target, Trust};
use gate::{Attempt, Word};
use kernel::{Clock, Kind, Problem, Secret, SystemClock, hex};
use vault::db::snapshot::{self, Fresh};
use vault::db::{Location, Opening};
use vault::keys::Keyring;

use crate::config::Config;
use crate::tls::file_problem;
use crate::{boot, config, folder, restore_given};

/// The job under which objects are read and checked.
const VERIFIER: &str = "verifier";

/// Who allows it.
pub enum Leave {
    /// Two people did, where the server still ran.
    Approved(Vec<u8>),
    /// Nobody can be asked any more. Why.
    Emergency(String),
    /// Nobody needs to: the result is thrown away.
    Drill,
}

/// What is to be restored.
pub struct Wish {
    /// Where the backups are.
    pub place: String,
    /// How a bucket is reached.
    pub reach: BackupConfig,
    /// Which; the newest if none.
    pub sequence: Option<u64>,
    /// What backups are checked and opened with.
    pub trust: Trust,
    /// The folder `keys` or the root key's file.
    pub keys: Option<PathBuf>,
    /// The new folder.
    pub into: PathBuf,
    /// The folder that it takes the place of, if that is still there.
    pub instead_of: Option<PathBuf>,
    /// The address of an empty PostgreSQL database; without it one is made beside the one that the backup's configuration names.
    pub database: Option<Secret>,
    /// The folder of PostgreSQL's programs.
    pub programs: Option<PathBuf>,
    /// Who allows it.
    pub leave: Leave,
}

/// What was done.
pub struct Report {
    /// The backup.
    pub signed: Signed,
    /// What was put into its place.
    pub unpacked: Unpacked,
    /// Records of the log that verified.
    pub log_size: u64,
    /// Objects that were opened and read.
    pub object_count: u64,
    /// What would be lost, if there was an old folder.
    pub loss: Option<Loss>,
    /// What was taken back again, if that could be told.
    pub replayed: Option<Replayed>,
    /// Why it could not.
    pub unreplayed: Option<String>,
    /// What was taken back of which the old log does not tell enough: verbs, and how often.
    pub untold: String,
    /// What is wrong with other manifests of the place.
    pub chain_faults: Vec<String>,
    /// The name of the database on PostgreSQL.
    pub database: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// Restores.
///
/// # Errors
/// `Forbidden` without leave; [`BackupError`] for a backup that is not whole; `Internal` for one that does not prove itself. Then the
/// folder is left for another try, and no server starts on it.
pub async fn restore(wish: Wish) -> Result<Report, Problem> {
    let began = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let target = Target::open(&wish.place, &wish.reach)?;
    let chain = Chain::read(&target, &wish.trust).await?;
    let signed = chain.find(&target, wish.sequence)?.clone();
    let approval = match &wish.leave {
        Leave::Approved(bytes) => Some(Approval::open(bytes, &wish.trust, &signed, clock.now())?),
        Leave::Emergency(_) | Leave::Drill => None,
    };
    if let Some(keys) = &wish.keys {
        restore_given::check_keys(keys)?;
    }
    let old = wish.instead_of.as_deref();
    if let Some(old) = old {
        restore_given::check_old(old, &wish.trust.instance)?;
    }
    if let Some(old) = old.filter(|old| !folder::is_free(old) && old.join("lock").is_file()) {
        let message = format!("a server has `{}` open: stop it first, or what it does meanwhile is lost", old.display());
        return Err(Problem::new(Kind::Conflict, message));
    }
    let unpacked = restore::unpack(&target, &wish.trust, &chain, &signed, &wish.into).await?;
    let settings = settle(&wish)?;
    let base = Base::take(&wish, &signed, unpacked.goes_on, &settings)?;
    let done = fill(&wish, (&signed, approval.as_ref()), unpacked, &base, &clock).await;
    if matches!(wish.leave, Leave::Drill) {
        base.throw_away()?;
    }
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let chain_faults = chain.faults().iter().map(|(_, error)| error.to_string()).collect();
    done.map(|report| Report { took_ms, chain_faults, ..report })
}

/// Fills the database, takes back in it what was taken back since, and proves all of it.
async fn fill(
    wish: &Wish,
    (signed, approval): (&Signed, Option<&Approval>),
    unpacked: Unpacked,
    base: &Base,
    clock: &Arc<dyn Clock>,
) -> Result<Report, Problem> {
    base.fill(wish, signed)?;
    let settings = config::load(&wish.into, None)?;
    let database = boot::location_of(&wish.into, &settings.vault)?;
    // An older server may have made the backup: what follows knows the tables of this one.
    drop(boot::open_database(&wish.into, &settings, Opening::Existing)?);
    restore::place_checkpoint(&wish.into, &database, &wish.trust)?;
    let point = signed.manifest.log.point;
    let old = wish.instead_of.as_deref().map(|old| (old, old_database(old)));
    let loss = old.as_ref().map(|(folder, old)| restore::loss((*folder, old), &database, point));
    let mut untold = String::new();
    let (replayed, unreplayed) = match old.as_ref().map(|(_, old)| Old::read(old)) {
        Some(Ok(old)) => {
            untold = wish
                .instead_of
                .as_deref()
                .map_or_else(String::new, |folder| Logged::read(folder, point).beside_database().untold_words());
            (Some(restore::replay(&database, &old, clock.now())?), None)
        }
        Some(Err(problem)) => {
            let told = from_log(wish, &database, point, clock.now())?;
            untold = told.as_ref().map_or_else(String::new, |(_, logged)| logged.untold_words());
            (told.map(|(replayed, _)| replayed), Some(problem.to_string()))
        }
        None => (None, Some("no old folder was named".to_owned())),
    };
    let state = match (&replayed, &unreplayed) {
        (Some(_), None) => "replayed",
        (Some(_), Some(_)) => "partly",
        (None, _) => "unreplayed",
    };
    let restored = Restored { untold: untold.clone(), ..restored_of(signed, wish, approval, loss.as_ref(), state, clock.now()) };
    restore::mark_restored(&database, &restored)?;
    write_records(wish, &settings, &restored, loss.as_ref(), replayed.as_ref(), clock).await?;
    let (log_size, object_count) = prove(&wish.into, &settings).await?;
    match wish.leave {
        // It goes again, mark and all.
        Leave::Drill => restore::finish(&wish.into)?,
        Leave::Approved(_) | Leave::Emergency(_) => base.finish(&wish.into)?,
    }
    let (signed, database) = (signed.clone(), base.name());
    let (took_ms, chain_faults) = (0, Vec::new());
    Ok(Report { signed, unpacked, log_size, object_count, loss, replayed, unreplayed, untold, chain_faults, database, took_ms })
}

/// The database that belongs to the old folder, as far as that tells.
fn old_database(old: &Path) -> Location {
    let told = config::load(old, None).and_then(|settings| boot::location_of(old, &settings.vault));
    told.unwrap_or_else(|_| Location::Sqlite(old.join(DATABASE)))
}

/// What is restored into: a file in the folder, or a fresh database of PostgreSQL under a mark of this restore.
enum Base {
    File,
    Fresh { fresh: Fresh, mark: String },
}

impl Base {
    /// Takes a fresh database, and names it in the restored configuration.
    fn take(wish: &Wish, signed: &Signed, goes_on: bool, settings: &Config) -> Result<Self, Problem> {
        if signed.manifest.engine != snapshot::POSTGRES {
            return Ok(Self::File);
        }
        let is_drill = matches!(wish.leave, Leave::Drill);
        let into = fs::canonicalize(&wish.into).map_err(|error| file_problem(&wish.into, error))?;
        let place = into.display().to_string();
        // A drill clears away what the one before it left, whichever backup that was of.
        let mark = if is_drill {
            format!("drill {} {place}", wish.trust.instance)
        } else {
            format!("restore {} {place}", hex(&signed.sha256))
        };
        let fresh = match &wish.database {
            Some(url) => Fresh::given(&Location::Postgres { url: url.clone(), ca: settings.vault.database_ca.clone() })?,
            None => {
                let digest: String = hex(&kernel::sha256(mark.as_bytes())).chars().take(16).collect();
                let name = format!("strongroom_{}_{digest}", if is_drill { "drill" } else { "restore" });
                Fresh::make_beside(&boot::location_of(&wish.into, &settings.vault)?, &name)?
            }
        };
        fresh.claim(&mark, goes_on || is_drill)?;
        let url = fresh.url().expose_text().unwrap_or_default().to_owned();
        change_settings(&wish.into, |table| {
            let vault = table.entry("vault").or_insert_with(|| toml::Table::new().into());
            if let Some(vault) = vault.as_table_mut() {
                vault.insert("database".to_owned(), url.into());
            }
        })?;
        Ok(Self::Fresh { fresh, mark })
    }

    fn fill(&self, wish: &Wish, signed: &Signed) -> Result<(), Problem> {
        match self {
            Self::File => prove_file(&wish.into.join(DATABASE)),
            Self::Fresh { fresh, .. } => {
                let dump = wish.into.join(DUMP);
                fresh.load(&signed.manifest.schema, &dump, wish.programs.as_deref())?;
                snapshot::wipe(&dump);
                Ok(())
            }
        }
    }

    /// From here on a server may start. INVARIANT: a database is never both in use and marked as one to be filled anew.
    fn finish(&self, into: &Path) -> Result<(), Problem> {
        let Self::Fresh { fresh, .. } = self else { return restore::finish(into) };
        fresh.note_proved()?;
        restore::finish(into)?;
        fresh.release()
    }

    fn throw_away(self) -> Result<(), Problem> {
        match self {
            Self::File => Ok(()),
            Self::Fresh { fresh, mark } => fresh.throw_away(&mark),
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::File => None,
            Self::Fresh { fresh, .. } => Some(fresh.name()),
        }
    }
}

/// Where the old database cannot be read, its log may tell who and what was taken back.
fn from_log(wish: &Wish, into: &Location, point: u64, at: kernel::Micros) -> Result<Option<(Replayed, Logged)>, Problem> {
    let Some(old) = &wish.instead_of else { return Ok(None) };
    let logged = Logged::read(old, point);
    if logged.record_count == 0 {
        return Ok(None);
    }
    Ok(Some((restore::replay_log(into, &logged, at)?, logged)))
}

fn prove_file(path: &Path) -> Result<(), Problem> {
    let faults = snapshot::faults_of_file(path)?;
    match faults.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("the restored database is not whole: {first} ({} faults)", faults.len());
            Err(BackupError::Damaged(message).into())
        }
    }
}

/// Makes a data folder of it: the root key, the lock, and a configuration under which objects lie in the folder.
fn settle(wish: &Wish) -> Result<Config, Problem> {
    let into = &wish.into;
    let lock = into.join("lock");
    if !lock.exists() {
        crate::tls::write_private(&lock, "")?;
    }
    let path = into.join(config::FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(file_problem(&path, error)),
    };
    let settings = config::parse(&text).map_err(Problem::invalid)?;
    if !matches!(settings.vault.objects, config::ObjectsConfig::Local) {
        // The objects were restored into the folder: there they are looked for.
        change_settings(into, |table| {
            if let Some(vault) = table.get_mut("vault").and_then(toml::Value::as_table_mut) {
                vault.remove("objects");
            }
        })?;
    }
    restore_given::place_keys(wish.keys.as_deref(), into, &settings)?;
    config::load(into, None)
}

/// Changes the restored configuration.
fn change_settings(into: &Path, change: impl FnOnce(&mut toml::Table)) -> Result<(), Problem> {
    let path = into.join(config::FILE_NAME);
    // Neither the text nor what is wrong with it is told: it may hold a password.
    let unread = || Problem::invalid(format!("the restored configuration `{}` cannot be changed", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(file_problem(&path, error)),
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(|_| unread())?;
    change(&mut table);
    let text = toml::to_string(&table).map_err(|_| unread())?;
    drop(fs::remove_file(&path));
    crate::tls::write_private(&path, &text)
}

fn restored_of(
    signed: &Signed,
    wish: &Wish,
    approval: Option<&Approval>,
    loss: Option<&Loss>,
    state: &str,
    at: kernel::Micros,
) -> Restored {
    let reason = match &wish.leave {
        Leave::Emergency(reason) => reason.clone(),
        Leave::Drill => "a drill".to_owned(),
        Leave::Approved(_) => approval.map_or_else(String::new, |approval| approval.reason.clone()),
    };
    Restored {
        id: kernel::random_id(),
        sequence: signed.manifest.sequence,
        manifest_sha256: signed.sha256.to_vec(),
        point: signed.manifest.log.point,
        lost_count: loss.filter(|loss| loss.is_known()).map(|loss| loss.record_count),
        state: state.to_owned(),
        reason,
        request_id: approval.map(|approval| approval.request_id.clone()),
        asked_by: approval.map(|approval| approval.asked_by.clone()),
        approved_by: approval.map(|approval| approval.approved_by.clone()),
        restored_at: at,
        untold: String::new(),
    }
}

/// The log goes on from the point with what was done here: nobody reads on without passing it. An emergency comes first.
async fn write_records(
    wish: &Wish,
    settings: &Config,
    restored: &Restored,
    loss: Option<&Loss>,
    replayed: Option<&Replayed>,
    clock: &Arc<dyn Clock>,
) -> Result<(), Problem> {
    let opened = boot::open_database(&wish.into, settings, Opening::Existing)?;
    let root = boot::root_key(&wish.into, settings).await?;
    let keyring = Keyring::open(opened.system.clone(), root, Arc::clone(clock)).await?;
    let log =
        AuditLog::open(boot::log_settings(&wish.into, settings, &keyring).await?, opened.system.clone(), Arc::clone(clock))?;
    let count = |value: u64| Word::Number(i64::try_from(value).unwrap_or(i64::MAX));
    if let Leave::Emergency(reason) = &wish.leave {
        let digest = hex(&kernel::sha256(reason.as_bytes()));
        log.notice("backup.emergency", &[("reason_sha256", Word::from(digest)), ("restore", Word::from(restored.id.clone()))]);
    }
    let mut details = vec![
        ("restore", Word::from(restored.id.clone())),
        ("sequence", count(restored.sequence)),
        ("manifest_sha256", Word::from(hex(&restored.manifest_sha256))),
        ("point", count(restored.point)),
        ("state", Word::from(restored.state.clone())),
    ];
    let people = [("request", &restored.request_id), ("asked_by", &restored.asked_by), ("approved_by", &restored.approved_by)];
    details.extend(people.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name, Word::from(value)))));
    if let Some(replayed) = replayed {
        details.push(("revoked_count", count(replayed.token_count + replayed.device_count + replayed.grant_count)));
        details.push(("erased_count", count(replayed.key_count + replayed.erased_count)));
    }
    log.notice("backup.restored", &details);
    // A log that is shorter than one that was signed before is a fork of it: said here, or suspected if nobody can tell.
    let fork = match loss {
        Some(loss) if loss.record_count == 0 && loss.is_known() => None,
        Some(loss) if loss.is_known() => {
            Some((Word::from("known"), loss.record_count, loss.last_record_sha256.clone().unwrap_or_default()))
        }
        None if matches!(wish.leave, Leave::Drill) => None,
        Some(_) | None => Some((Word::from("unknown"), 0, String::new())),
    };
    if let Some((what, lost, last)) = fork {
        let details = [
            ("at", count(restored.point)),
            ("head", what),
            ("last_record_sha256", Word::from(last)),
            ("lost_count", count(lost)),
        ];
        log.notice("backup.forked", &details);
    }
    log.flush().await?;
    log.close();
    Ok(())
}

/// Opens it as a server would, reads every object under its key, and verifies the log.
async fn prove(into: &Path, settings: &Config) -> Result<(u64, u64), Problem> {
    let way = boot::Way::default();
    let app = boot::open_with(into, settings, way, boot::root_key(into, settings).await?).await?;
    let verb = VerifyObjects { room: app.rooms.artifacts.clone() };
    let objects = app.gate.call(Attempt::of_job(app.jobs.pass(VERIFIER)), verb).await;
    let log = Arc::clone(app.rooms.audit.log());
    let verified = async {
        log.flush().await?;
        let verify = move || log.verify(&mut |_, _| {});
        let report = tokio::task::spawn_blocking(verify).await;
        Ok::<_, Problem>(report.map_err(|broken| Problem::internal("the log's verification broke off", broken))??)
    };
    let verified = verified.await;
    app.close().await;
    let (objects, report) = (objects?, verified?);
    if objects.damaged_count > 0 {
        let first = objects.damaged.first().cloned().unwrap_or_default();
        let message = format!("{} of the restored objects do not open, `{first}` among them", objects.damaged_count);
        return Err(Problem::internal(message, "a restored object is damaged"));
    }
    if let Some(fault) = report.faults.first() {
        let message =
            format!("the restored log does not verify: {}: {} ({} faults)", fault.place, fault.what, report.fault_count);
        return Err(Problem::internal(message, "the restored log is damaged"));
    }
    Ok((report.size, objects.checked_count))
}
