//! Log-ins judged: what log-in asks before it asks for more, and tells when somebody is in.
//!
//! What log-in does, in this order:
//! 1. [`LogIns::judge`] once it knows whose account it is and whether a known device's key came along. Nothing changes by asking.
//! 2. It asks for what [`Judged::band`] says, or refuses.
//! 3. [`LogIns::learn`] once everything that was asked for was proved; [`LogIns::learn_unproved`] where an account has nothing to prove it with
//!    and nothing speaks against it; [`LogIns::note`] where it was not proved; [`LogIns::fail`] for each wrong credential, of an account that
//!    exists or of none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use kernel::{Clock, Micros, Problem, Secret};
use parking_lot::{Mutex, RwLock};
use rba::geo::{Country, Dated, Whence};
use rba::leaked::Leaked;
use rba::networks::Networks;
use rba::rules::{self, RuleFacts};
use rba::table::Table;
use rba::velocity::Velocity;
use rba::{Bands, Form, Geo, Judged, Keyed, Model, Percentiles, Seen};
use vault::db::{Db, DbError, Reader, SystemDb, Writer};

use crate::config::LogInConfig;
use crate::files;
use crate::store::{self, JudgedRow, LogInRow};
use crate::told::{Sealing, is_grave};

/// What a client calls itself, as far as it is looked at.
const AGENT_BYTES_MAX: usize = 1_024;
const VALUE_BYTES: usize = 16;

/// What is known of a log-in before it is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogInFacts {
    /// The account's id.
    pub person: String,
    /// Where the connection came from.
    pub address: IpAddr,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// It came with a key that this person's device holds, and the key was checked.
    pub known_device: bool,
    /// Its password is in the list of leaked ones ([`LogIns::is_leaked`]).
    pub password_is_leaked: bool,
    /// When.
    pub at: Micros,
}

/// How a log-in ended that was not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was asked for was not proved.
    Failed,
    /// It was let in with less than was asked for, because the account has no more; what it does is held back.
    Unproved,
    /// It was refused for its risk.
    Refused,
}

impl Ended {
    const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unproved => "unproved",
            Self::Refused => "refused",
        }
    }
}

/// Finds the account's id behind an id or a name. It comes from `identity`, whose table that is.
pub type FindPerson = fn(&mut Reader<'_>, &str) -> Result<Option<String>, DbError>;

/// What the room stands on.
pub struct Ground {
    /// For verbs.
    pub db: Db,
    /// For what log-in does on its way.
    pub system: SystemDb,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// 32 bytes of the key ring's, of this room's own.
    pub secret: Secret,
    /// Finds people.
    pub find_person: FindPerson,
}

/// The room's handle.
#[derive(Clone)]
pub struct LogIns(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) system: SystemDb,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) find_person: FindPerson,
    pub(crate) sealing: Sealing,
    keyed: Keyed,
    bands: Bands,
    state: RwLock<State>,
    velocity: Mutex<Velocity>,
    geo: RwLock<Arc<Geo>>,
    is_geo_loaded: AtomicBool,
    leaked_path: Option<PathBuf>,
    /// Made when it is first asked for: it takes a while.
    leaked: OnceLock<Option<Leaked>>,
    denied: Networks,
    roaming: Networks,
}

struct State {
    model: Model,
    percentiles: Percentiles,
    /// The country of each person's last verified log-in, where it is known, and whether its network says where somebody is.
    places: HashMap<String, (Country, Micros)>,
}

impl State {
    fn learn(&mut self, person: &str, seen: Seen, country: Option<Country>, (known_count, score): (usize, f64)) {
        self.percentiles.accept(known_count, score);
        self.model.learn(person, seen);
        match country {
            Some(country) => drop(self.places.insert(person.to_owned(), (country, seen.at))),
            None => drop(self.places.remove(person)),
        }
        if self.places.len() > self.model.people_count() {
            self.places.retain(|person, _| self.model.knows(person));
        }
    }

    fn forget(&mut self, person: &str) {
        self.model.forget(person);
        self.places.remove(person);
    }
}

impl LogIns {
    /// Reads the operator's lists of networks. A server goes on with [`LogIns::load`]; a command, which lets nobody in, does not.
    ///
    /// # Errors
    /// `Invalid` for a list that cannot be used.
    pub fn open(ground: Ground, config: &LogInConfig) -> Result<Self, Problem> {
        let Ground { db, system, clock, secret, find_person } = ground;
        let key = |purpose: &[u8]| vault::keys::keyed_hash(&secret, purpose);
        let state = State { model: Model::new(Form::OURS), percentiles: Percentiles::default(), places: HashMap::new() };
        let inner = Inner {
            sealing: Sealing::new(Secret::new(key(b"strongroom risk seal v1").to_vec())),
            keyed: Keyed::new(&key(b"strongroom risk values v1")),
            bands: config.bands(),
            state: RwLock::new(state),
            velocity: Mutex::default(),
            geo: RwLock::default(),
            is_geo_loaded: AtomicBool::new(false),
            leaked_path: config.leaked_passwords.clone(),
            leaked: OnceLock::new(),
            denied: files::networks(config.denied_networks.as_deref())?,
            roaming: files::networks(config.roaming_networks.as_deref())?,
            db,
            system,
            clock,
            find_person,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Reads what is kept of log-ins, the tables of addresses and the list of leaked passwords.
    ///
    /// # Errors
    /// `Invalid` for a list that cannot be used; `Unavailable` if the database is down.
    pub async fn load(&self) -> Result<(), Problem> {
        self.load_log_ins().await?;
        self.load_geo().await?;
        self.leaked().map(drop)
    }

    /// Judges a log-in. Nothing is written or learnt.
    #[must_use]
    pub fn judge(&self, facts: &LogInFacts) -> Judged {
        let inner = &self.0;
        let (whence, seen) = self.seen(facts);
        let state = inner.state.read();
        let score = state.model.score(&facts.person, &seen);
        let percentile = state.percentiles.of(score.known_count, score.nats);
        let last_place = state.places.get(&facts.person).copied();
        drop(state);
        let [address, network, ..] = seen.values;
        let (address_account_count, network_account_count) = {
            let velocity = inner.velocity.lock();
            (velocity.count(&address, facts.at), velocity.count(&network, facts.at))
        };
        let facts = RuleFacts {
            known_device: facts.known_device,
            whence,
            last_place,
            travels_freely: inner.roaming.contains(facts.address, whence),
            address_account_count,
            network_account_count,
            is_denied: inner.denied.contains(facts.address, whence),
            password_is_leaked: facts.password_is_leaked,
            now: facts.at,
        };
        rules::judge(&score, percentile, &facts, &inner.bands)
    }

    /// Learns a log-in that was verified: everything that was asked for was proved.
    ///
    /// # Errors
    /// `Unavailable` if the database is down; then nothing was learnt.
    pub async fn learn(&self, facts: &LogInFacts, judged: &Judged) -> Result<(), Problem> {
        self.learn_as(facts, judged, "verified").await
    }

    /// Learns a log-in of an account that has no factor, where nothing speaks against it but that little is known
    /// ([`Judged::is_only_unknown`]): else nothing would ever be known of it. Nothing else that is unproved may be learnt.
    ///
    /// # Errors
    /// `Unavailable` if the database is down; then nothing was learnt.
    pub async fn learn_unproved(&self, facts: &LogInFacts, judged: &Judged) -> Result<(), Problem> {
        self.learn_as(facts, judged, Ended::Unproved.word()).await
    }

    async fn learn_as(&self, facts: &LogInFacts, judged: &Judged, outcome: &str) -> Result<(), Problem> {
        let inner = &self.0;
        let (whence, seen) = self.seen(facts);
        let score = inner.state.read().model.score(&facts.person, &seen);
        // Where a network says nothing of a place, the next journey begins nowhere.
        let country = self.country(facts.address);
        let row = LogInRow {
            person: facts.person.clone(),
            at: facts.at,
            known_device: facts.known_device,
            seen: seen.values.concat(),
            place: inner.sealing.place(&facts.person, Whence { country, ..whence })?,
            score: score.nats,
            known_count: i64::try_from(score.known_count).unwrap_or(i64::MAX),
        };
        let noted = self.judged_row(facts, whence, judged, outcome)?;
        let write = move |writer: &mut Writer<'_>| {
            store::put_log_in(writer, &row)?;
            store::put_judged(writer, &row.person, &noted)
        };
        inner.system.write(write).await?;
        inner.state.write().learn(&facts.person, seen, country, (score.known_count, score.nats));
        Ok(())
    }

    /// Writes down how a log-in was judged that was not verified. Nothing is learnt from it.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn note(&self, facts: &LogInFacts, judged: &Judged, ended: Ended) -> Result<(), Problem> {
        let whence = self.whence(facts.address);
        let (person, row) = (facts.person.clone(), self.judged_row(facts, whence, judged, ended.word())?);
        self.0.system.write(move |writer| store::put_judged(writer, &person, &row)).await
    }

    /// A credential was wrong. `account` is the name that was tried, whether there is such an account or not.
    pub fn fail(&self, address: IpAddr, account: &str, at: Micros) {
        let inner = &self.0;
        let seen = inner.keyed.seen(address, self.whence(address), None, false, at);
        let account = inner.keyed.value("account", &[account.to_lowercase().as_bytes()]);
        let [address, network, ..] = seen.values;
        let mut velocity = inner.velocity.lock();
        velocity.fail(address, account, at);
        velocity.fail(network, account, at);
    }

    /// Whether a password is in the operator's list of leaked ones: asked when one is chosen, and when one is used. Without a list none is.
    ///
    /// # Errors
    /// `Invalid` for a list that cannot be used.
    pub fn is_leaked(&self, password: &Secret) -> Result<bool, Problem> {
        Ok(self.leaked()?.is_some_and(|leaked| leaked.contains(password.expose())))
    }

    fn leaked(&self) -> Result<Option<&Leaked>, Problem> {
        if let Some(leaked) = self.0.leaked.get() {
            return Ok(leaked.as_ref());
        }
        let read = files::leaked(self.0.leaked_path.as_deref())?;
        Ok(self.0.leaked.get_or_init(|| read).as_ref())
    }

    /// Forgets a person, at once and everywhere. Deleting the account does the same: its rows go in that very commit, and what is in memory
    /// with the next [`LogIns::sweep`].
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn forget(&self, person: &str) -> Result<(), Problem> {
        let gone = person.to_owned();
        self.0.system.write(move |writer| store::forget(writer, &gone)).await?;
        self.0.state.write().forget(person);
        Ok(())
    }

    /// Forgets in memory whoever has no rows any more: called every minute.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn sweep(&self) -> Result<(), Problem> {
        // Who is learnt meanwhile is not among those asked for, so only those known before are compared.
        let known: Vec<String> = self.0.state.read().model.people().map(ToOwned::to_owned).collect();
        let kept = self.0.system.read(store::people).await?;
        let kept: std::collections::HashSet<&str> = kept.iter().map(String::as_str).collect();
        for gone in known.iter().filter(|person| !kept.contains(person.as_str())) {
            self.0.state.write().forget(gone);
        }
        Ok(())
    }

    /// Where an address is, as far as the tables know.
    #[must_use]
    pub fn whence(&self, address: IpAddr) -> Whence {
        self.0.geo.read().find(address)
    }

    /// The country that somebody at an address is in: none where no table knows it, or where its network says nothing of that.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Option<Country> {
        let whence = self.whence(address);
        whence.country.filter(|_| !self.0.roaming.contains(address, whence))
    }

    /// The tables; a command reads them when it is asked for them.
    pub(crate) async fn geo(&self) -> Result<Arc<Geo>, Problem> {
        if !self.0.is_geo_loaded.load(Ordering::Acquire) {
            self.load_geo().await?;
        }
        Ok(Arc::clone(&self.0.geo.read()))
    }

    pub(crate) fn put_geo(&self, dated: Dated) {
        let mut geo = self.0.geo.write();
        let mut changed = geo.as_ref().clone();
        changed.put(dated);
        *geo = Arc::new(changed);
    }

    fn seen(&self, facts: &LogInFacts) -> (Whence, Seen) {
        let whence = self.whence(facts.address);
        let agent = facts.user_agent.as_deref().map(|agent| cut(agent, AGENT_BYTES_MAX));
        (whence, self.0.keyed.seen(facts.address, whence, agent, facts.known_device, facts.at))
    }

    fn judged_row(&self, facts: &LogInFacts, whence: Whence, judged: &Judged, outcome: &str) -> Result<JudgedRow, Problem> {
        let told = self.0.sealing.judged(&facts.person, whence, judged)?;
        let is_grave = is_grave(outcome, judged.band.word());
        Ok(JudgedRow { at: facts.at, outcome: outcome.to_owned(), is_grave, told })
    }

    async fn load_log_ins(&self) -> Result<(), Problem> {
        let room = self.clone();
        let load = move |reader: &mut Reader<'_>| {
            let mut state = room.0.state.write();
            let mut places = HashMap::new();
            store::each_log_in(reader, |row| {
                let Some(seen) = seen_of(&row) else { return };
                let known_count = usize::try_from(row.known_count).unwrap_or(0);
                state.learn(&row.person, seen, None, (known_count, row.score));
                places.insert(row.person, (row.place, row.at));
            })?;
            for (person, (sealed, at)) in places {
                if let Some(country) = room.0.sealing.open_place(&person, &sealed)? {
                    state.places.insert(person, (country, at));
                }
            }
            Ok(())
        };
        self.0.system.read(load).await
    }

    async fn load_geo(&self) -> Result<(), Problem> {
        let now = self.0.clock.now();
        for (made_at, bytes) in self.0.system.read(store::geo_tables).await? {
            let table = Table::from_bytes(&bytes).map_err(|error| Problem::internal("a table of addresses is damaged", error))?;
            let (kind, dated) = (table.kind(), Dated { table, made_at });
            if dated.is_old(now) {
                tracing::warn!(
                    table = kind.word(),
                    "the table of addresses is older than {} days; load a newer one",
                    rba::geo::OLD_AFTER_DAYS
                );
            }
            self.put_geo(dated);
        }
        self.0.is_geo_loaded.store(true, Ordering::Release);
        Ok(())
    }
}

fn seen_of(row: &LogInRow) -> Option<Seen> {
    let mut values = [[0; VALUE_BYTES]; rba::keyed::LEVEL_COUNT];
    if row.seen.len() != values.len() * VALUE_BYTES {
        return None;
    }
    for (value, bytes) in values.iter_mut().zip(row.seen.chunks_exact(VALUE_BYTES)) {
        *value = bytes.try_into().ok()?;
    }
    Some(Seen { values, known_device: row.known_device, at: row.at })
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
