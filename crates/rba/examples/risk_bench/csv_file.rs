//! The public data set, for whoever has it: its successful log-ins, and attackers made of its other rows.
//!
//! Naive: the address of a row that is marked as an attacker's, with the client of a random row. VPN: the address of another person's row of
//! the same country, with the client of a random row. Targeted: the address of another person's row of the same network and city (or of
//! the same network), with the person's own last client. It knows no devices, so what is ours runs there without them.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use rba::dataset::{Row, Rows, SINK_USER};

use crate::chance::Chance;
use crate::world::{Attacker, LogIn, Step};

const ATTACK_EVERY: f64 = 8.0;
/// Rows by which attackers are made.
const SAMPLE_COUNT_MAX: usize = 200_000;

#[derive(Default)]
struct Names {
    texts: HashMap<String, u64>,
    people: HashMap<i64, u32>,
}

impl Names {
    fn text(&mut self, level: char, text: &str) -> u64 {
        let next = self.texts.len() as u64;
        *self.texts.entry(format!("{level}{text}")).or_insert(next)
    }

    fn person(&mut self, user: i64) -> u32 {
        let next = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        *self.people.entry(user).or_insert(next)
    }

    fn log_in(&mut self, row: &Row, person: u32, day: f64) -> LogIn {
        let country = row.country.map_or(*b"--", |country| <[u8; 2]>::try_from(country.text().as_bytes()).unwrap_or(*b"--"));
        LogIn {
            person,
            day,
            address: self.text('i', &row.address.to_string()),
            network: row.network,
            country,
            agent: self.text('a', &row.agent),
            browser: self.text('b', &row.browser),
            system: self.text('s', &row.system),
            kind: u8::try_from(self.text('d', &row.device) % 256).unwrap_or(0),
            known_device: false,
        }
    }
}

/// What attackers are made of: log-ins seen so far.
#[derive(Default)]
struct Past {
    attackers: Vec<LogIn>,
    all: Vec<LogIn>,
    by_country: HashMap<[u8; 2], Vec<LogIn>>,
    by_place: HashMap<(u32, u64), Vec<LogIn>>,
    last: HashMap<u32, LogIn>,
}

impl Past {
    fn note(&mut self, log_in: LogIn, city: u64) {
        for list in [
            &mut self.all,
            self.by_country.entry(log_in.country).or_default(),
            self.by_place.entry((log_in.network, city)).or_default(),
        ] {
            if list.len() < SAMPLE_COUNT_MAX {
                list.push(log_in);
            }
        }
        self.last.insert(log_in.person, log_in);
    }

    fn attacks(&self, own: &LogIn, city: u64, chance: &mut Chance) -> Vec<(Attacker, LogIn)> {
        let pick = |list: Option<&Vec<LogIn>>, chance: &mut Chance| -> Option<LogIn> {
            let list = list?;
            (0..20).filter_map(|_| list.get(chance.below(list.len()))).find(|one| one.person != own.person).copied()
        };
        let with = |place: LogIn, client: LogIn| LogIn {
            person: own.person,
            day: own.day,
            address: place.address,
            network: place.network,
            country: place.country,
            known_device: false,
            ..client
        };
        let Some(client) = pick(Some(&self.all), chance) else { return Vec::new() };
        let mut attacks = Vec::new();
        if let Some(place) = pick(Some(&self.attackers), chance) {
            attacks.push((Attacker::Naive, with(place, client)));
        }
        if let Some(place) = pick(self.by_country.get(&own.country), chance) {
            attacks.push((Attacker::Vpn, with(place, client)));
        }
        let last = self.last.get(&own.person);
        if let (Some(place), Some(last)) = (pick(self.by_place.get(&(own.network, city)), chance), last) {
            attacks.push((Attacker::Targeted, with(place, *last)));
        }
        attacks
    }
}

/// Reads up to `row_count` rows.
pub fn steps(path: &str, row_count: u64, seed: u64) -> Result<Vec<Step>, String> {
    let file = File::open(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let rows = Rows::new(BufReader::with_capacity(1 << 20, file))?;
    let (mut names, mut past, mut chance) = (Names::default(), Past::default(), Chance::new(seed));
    let mut steps = Vec::new();
    let mut begin = None;
    for row in rows.take(usize::try_from(row_count).unwrap_or(usize::MAX)) {
        let row = row?;
        let begin = *begin.get_or_insert(row.at);
        let day = days(row.at.0.saturating_sub(begin.0));
        if row.is_attack_address {
            let attacker = names.log_in(&row, u32::MAX, day);
            if past.attackers.len() < SAMPLE_COUNT_MAX {
                past.attackers.push(attacker);
            }
        }
        if !row.is_successful || row.user == SINK_USER {
            continue;
        }
        let person = names.person(row.user);
        let (log_in, city) = (names.log_in(&row, person, day), names.text('c', &row.city));
        if row.is_takeover {
            continue;
        }
        let is_tried = past.last.contains_key(&person) && chance.happens(1.0 / ATTACK_EVERY);
        let attacks = if is_tried { past.attacks(&log_in, city, &mut chance) } else { Vec::new() };
        past.note(log_in, city);
        steps.push(Step { log_in, attacks });
    }
    steps.sort_by(|one, other| one.log_in.day.total_cmp(&other.log_in.day));
    Ok(steps)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a year")]
fn days(micros: i64) -> f64 {
    micros as f64 / 86_400_000_000.0
}
