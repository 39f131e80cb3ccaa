//! What a judgement costs: an address and a client taken apart and hashed, looked up, scored, compared, and the rules.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use kernel::Micros;
use rba::geo::Dated;
use rba::rules::{self, RuleFacts};
use rba::table::Table;
use rba::{Bands, Form, Geo, Keyed, Model, Percentiles};
use serde_json::{Value, json};

use crate::chance::Chance;

const PEOPLE: u32 = 2_000;
const LOG_INS: u32 = 100;
const ROUNDS: usize = 50_000;

pub fn told() -> Value {
    let mut chance = Chance::new(5);
    let keyed = Keyed::new(b"a key of the bench");
    let geo = geo();
    let mut model = Model::new(Form::OURS);
    let mut percentiles = Percentiles::default();
    let address = |chance: &mut Chance, person: u32| {
        let host = u32::try_from(chance.below(5)).unwrap_or(0);
        IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + person * 64 + host))
    };
    let agent = |version: usize| {
        format!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36")
    };
    for number in 0..LOG_INS {
        for person in 0..PEOPLE {
            let at = Micros(1_700_000_000_000_000 + i64::from(number) * 86_400_000_000 + i64::from(person));
            let address = address(&mut chance, person);
            let seen = keyed.seen(address, geo.find(address), Some(&agent(chance.below(40))), true, at);
            let name = format!("u_{person}");
            let score = model.score(&name, &seen);
            percentiles.accept(score.known_count, score.nats);
            model.learn(&name, seen);
        }
    }
    let now = Micros(1_700_000_000_000_000 + i64::from(LOG_INS) * 86_400_000_000);
    let mut times_ns = Vec::with_capacity(ROUNDS);
    let mut asked = 0_usize;
    for _ in 0..ROUNDS {
        let person = u32::try_from(chance.below(PEOPLE as usize)).unwrap_or(0);
        let (name, address, agent) = (format!("u_{person}"), address(&mut chance, person), agent(chance.below(60)));
        let begin = Instant::now();
        let whence = geo.find(address);
        let seen = keyed.seen(address, whence, Some(&agent), true, now);
        let score = model.score(&name, &seen);
        let facts = RuleFacts {
            known_device: true,
            whence,
            last_place: whence.country.map(|country| (country, now)),
            travels_freely: false,
            address_account_count: 0,
            network_account_count: 0,
            is_denied: false,
            password_is_leaked: false,
            now,
        };
        let judged = rules::judge(&score, percentiles.of(score.known_count, score.nats), &facts, &Bands::default());
        times_ns.push(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
        asked += usize::from(judged.band > rba::Band::Nothing);
    }
    times_ns.sort_unstable();
    let at = |part: usize| micros(times_ns.get(ROUNDS * part / 100).copied().unwrap_or(u64::MAX));
    json!({ "p50_us": at(50), "p99_us": at(99), "people": PEOPLE, "log_ins_each": LOG_INS, "asked": asked })
}

/// As many ranges as the public tables have.
fn geo() -> Geo {
    let mut geo = Geo::default();
    let rows = |value: &dyn Fn(u32) -> String| {
        (0..300_000_u32)
            .map(|at| format!("{},{},{}\n", 0x0100_0000 + at * 64, 0x0100_0000 + at * 64 + 63, value(at)))
            .collect::<String>()
    };
    let countries = ["DE", "NO", "US", "IN", "JP"];
    let of_country = |at: u32| countries.get(at as usize / 1_000 % 5).copied().unwrap_or("DE").to_owned();
    for text in [rows(&of_country), rows(&|at| format!("{},name", 64_500 + at / 50))] {
        if let Ok(table) = Table::read_csv(text.as_bytes()) {
            geo.put(Dated { table, made_at: Micros(0) });
        }
    }
    geo
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds")]
fn micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}
