//! The ways of judging that are compared. Each gives a number; above a threshold a log-in is challenged.

use std::collections::{HashMap, HashSet};

use kernel::Micros;
use rba::geo::{Country, Whence};
use rba::rules::{self, RuleFacts};
use rba::{Band, Bands, Form, Model, Percentiles, Seen, Value};

use crate::world::LogIn;

pub const NAMES: [&str; METHOD_COUNT] = [
    "exact match",
    "hand-set weights",
    "published score",
    "ours, score without the device",
    "ours, score alone",
    "ours with hard rules",
];
pub const METHOD_COUNT: usize = 6;

/// What each way says of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    pub scores: [f64; METHOD_COUNT],
    /// What the default bands and the rules ask for.
    pub band: Band,
}

/// All the ways, with what each has learnt.
pub struct Methods {
    own: HashMap<u32, Own>,
    published: Model,
    faded: (Model, Percentiles),
    ours: (Model, Percentiles),
    places: HashMap<u32, (Country, Micros)>,
    has_device: bool,
}

#[derive(Default)]
struct Own {
    addresses: HashSet<u64>,
    networks: HashSet<u32>,
    countries: HashSet<[u8; 2]>,
    agents: HashSet<u64>,
    browsers: HashSet<u64>,
    systems: HashSet<u64>,
    kinds: HashSet<u8>,
}

impl Methods {
    /// `has_device`: whether the data says which device a log-in came from.
    pub fn new(has_device: bool) -> Self {
        let faded = Form { has_device: false, ..Form::OURS };
        let form = Form { has_device, ..Form::OURS };
        Self {
            own: HashMap::new(),
            published: Model::new(Form::PLAIN),
            faded: (Model::new(faded), Percentiles::default()),
            ours: (Model::new(form), Percentiles::default()),
            places: HashMap::new(),
            has_device,
        }
    }

    pub fn judge(&self, log_in: &LogIn) -> Said {
        let (person, seen) = (name(log_in), seen(log_in));
        let nobody = Own::default();
        let own = self.own.get(&log_in.person).unwrap_or(&nobody);
        let faded = self.faded.0.score(&person, &seen);
        let faded = self.faded.1.of(faded.known_count, faded.nats).unwrap_or(100.0);
        let score = self.ours.0.score(&person, &seen);
        let percentile = self.ours.1.of(score.known_count, score.nats);
        let facts = RuleFacts {
            // Where nothing is known of devices the rules about them say nothing.
            known_device: log_in.known_device || !self.has_device,
            whence: whence(log_in),
            last_place: self.places.get(&log_in.person).copied(),
            travels_freely: false,
            address_account_count: 0,
            network_account_count: 0,
            is_denied: false,
            password_is_leaked: false,
            now: seen.at,
        };
        let judged = rules::judge(&score, percentile, &facts, &Bands::default());
        let has_rule = judged.reasons.iter().any(|reason| reason.asks.is_some());
        let alone = percentile.unwrap_or(100.0);
        let scores = [
            exact(own, log_in),
            by_hand(own, log_in),
            self.published.score(&person, &seen).nats,
            faded,
            alone,
            // A rule challenges whatever the percentile is; where all is familiar the percentile does not.
            if has_rule {
                101.0
            } else if rules::is_familiar(&score, &facts) {
                -1.0
            } else {
                alone
            },
        ];
        Said { scores, band: judged.band }
    }

    pub fn learn(&mut self, log_in: &LogIn) {
        let (person, seen) = (name(log_in), seen(log_in));
        let score = self.faded.0.score(&person, &seen);
        self.faded.1.accept(score.known_count, score.nats);
        self.faded.0.learn(&person, seen);
        let score = self.ours.0.score(&person, &seen);
        self.ours.1.accept(score.known_count, score.nats);
        self.ours.0.learn(&person, seen);
        self.published.learn(&person, seen);
        if let Some(country) = whence(log_in).country {
            self.places.insert(log_in.person, (country, seen.at));
        }
        let own = self.own.entry(log_in.person).or_default();
        own.addresses.insert(log_in.address);
        own.networks.insert(log_in.network);
        own.countries.insert(log_in.country);
        own.agents.insert(log_in.agent);
        own.browsers.insert(log_in.browser);
        own.systems.insert(log_in.system);
        own.kinds.insert(log_in.kind);
    }
}

/// A new address or a new client: a challenge.
fn exact(own: &Own, log_in: &LogIn) -> f64 {
    f64::from(!own.addresses.contains(&log_in.address) || !own.agents.contains(&log_in.agent))
}

/// Log-odds that somebody set by hand, in the steps of a known extension of Keycloak: -0.3 for what is as always, then 0.1, 0.4, 0.8, 1.5, 2.0.
fn by_hand(own: &Own, log_in: &LogIn) -> f64 {
    let address = match log_in {
        one if own.addresses.contains(&one.address) => -0.3,
        one if own.networks.contains(&one.network) => 0.1,
        one if own.countries.contains(&one.country) => 0.8,
        _ => 2.0,
    };
    let client = match log_in {
        one if own.agents.contains(&one.agent) => -0.3,
        one if own.browsers.contains(&one.browser) && own.systems.contains(&one.system) => 0.1,
        one if own.systems.contains(&one.system) => 0.4,
        one if own.kinds.contains(&one.kind) => 1.5,
        _ => 2.0,
    };
    address + client
}

fn name(log_in: &LogIn) -> String {
    format!("{:08x}", log_in.person)
}

fn whence(log_in: &LogIn) -> Whence {
    let country = std::str::from_utf8(&log_in.country).ok().and_then(Country::parse);
    // A country that no letters stand for is still a place here: the generator's and the data set's tables are whole.
    Whence { country, network: Some(log_in.network), is_private: country.is_none() }
}

/// In place of keyed hashes: the numbers themselves.
fn seen(log_in: &LogIn) -> Seen {
    let value = |level: u8, number: u64| -> Value {
        let mut value = [0; 16];
        // Spread over the first eight bytes, by which maps find them.
        let spread = crate::chance::Chance::new(number ^ u64::from(level) << 56).bits();
        let parts = spread.to_le_bytes().into_iter().chain(number.to_le_bytes());
        for (to, from) in value.iter_mut().zip(parts) {
            *to = from;
        }
        value
    };
    let [a, b] = log_in.country;
    let values = [
        value(1, log_in.address),
        value(2, u64::from(log_in.network)),
        value(3, u64::from(a) << 8 | u64::from(b)),
        value(4, log_in.agent),
        value(5, log_in.browser),
        value(6, log_in.system),
        value(7, u64::from(log_in.kind)),
    ];
    Seen { values, known_device: log_in.known_device, at: Micros(micros(log_in.day)) }
}

#[expect(clippy::cast_possible_truncation, reason = "days of some years")]
fn micros(day: f64) -> i64 {
    1_700_000_000_000_000 + (day * 86_400_000_000.0) as i64
}
