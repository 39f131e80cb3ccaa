//! An organisation whose people log in, and those who want to be them. Every rate is written down with its reason; none was fitted to a
//! result. Where a source has a number it is named, the rest are guesses on the uncomfortable side.

use crate::chance::Chance;

pub const DAYS: f64 = 300.0;

/// What is seen of a log-in. Numbers stand for texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogIn {
    pub person: u32,
    /// Days since the begin.
    pub day: f64,
    pub address: u64,
    pub network: u32,
    pub country: [u8; 2],
    pub agent: u64,
    pub browser: u64,
    pub system: u64,
    pub kind: u8,
    pub known_device: bool,
}

/// Somebody who has the person's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attacker {
    /// From anywhere, with a common client.
    Naive,
    /// From the person's country, with a common client.
    Vpn,
    /// From the person's city and provider, with the person's own client.
    Targeted,
    /// As that, with the device's key too: a stolen laptop, or malware on it.
    Thief,
}

pub const ATTACKERS: [(Attacker, &str); 4] =
    [(Attacker::Naive, "naive"), (Attacker::Vpn, "vpn"), (Attacker::Targeted, "targeted"), (Attacker::Thief, "thief")];

/// A log-in of the person's, and attempts of others at the same time.
#[derive(Clone, Debug)]
pub struct Step {
    pub log_in: LogIn,
    pub attacks: Vec<(Attacker, LogIn)>,
}

/// Countries, and how many of the organisation's people live there: a head office, four others, the rest works from elsewhere.
const HOMES: [([u8; 2], f64); 16] = [
    (*b"DE", 34.0),
    (*b"US", 18.0),
    (*b"IN", 14.0),
    (*b"GB", 9.0),
    (*b"NL", 8.0),
    (*b"FR", 3.0),
    (*b"PL", 3.0),
    (*b"ES", 2.0),
    (*b"CA", 2.0),
    (*b"SE", 1.5),
    (*b"CH", 1.5),
    (*b"AT", 1.0),
    (*b"IT", 1.0),
    (*b"BR", 1.0),
    (*b"JP", 0.5),
    (*b"AU", 0.5),
];
const OFFICE_COUNT: usize = 5;
/// Where attacks come from: the order in which such lists usually have them.
const ATTACK_COUNTRIES: [([u8; 2], f64); 12] = [
    (*b"CN", 16.0),
    (*b"US", 15.0),
    (*b"RU", 11.0),
    (*b"BR", 9.0),
    (*b"IN", 8.0),
    (*b"VN", 7.0),
    (*b"ID", 6.0),
    (*b"DE", 4.0),
    (*b"NL", 4.0),
    (*b"RO", 4.0),
    (*b"NG", 3.0),
    (*b"FR", 3.0),
];
const CITIES_PER_COUNTRY: usize = 8;
/// Providers of a country, by their customers: a few have most of them.
const PROVIDERS: [f64; 6] = [38.0, 24.0, 16.0, 11.0, 7.0, 4.0];
/// Addresses that a provider has in one city.
const POOL: usize = 4_096;
/// Carriers put many customers behind few addresses.
const CARRIER_POOL: usize = 256;
const VPN_POOL: usize = 64;

// How often people do what makes them look like somebody else.
/// Log-ins a week: three, as sessions that end within a day and weeks with days elsewhere leave them; a third has twice as many or more.
const PER_WEEK: f64 = 3.0;
const PER_WEEK_SPREAD: f64 = 0.8;
/// People whose provider gives them the same address for good; the others' changes about every six weeks.
const STATIC_ADDRESS: f64 = 0.2;
const LEASE_DAYS: f64 = 45.0;
/// Moves of house, or of provider: one in eight years, one in six.
const MOVES_PER_YEAR: f64 = 0.3;
/// People who log in by their telephone's network in a tenth of log-ins.
const TETHERS: f64 = 0.3;
/// People who use the company's VPN when they are not in the office.
const COMPANY_VPN: f64 = 0.2;
/// People who use a VPN of their own in every third log-in, with its exit anywhere.
const OWN_VPN: f64 = 0.04;
/// Journeys a year: most people 1.5, one in eight ten; half of them abroad.
const TRAVELLERS: f64 = 0.12;
/// Devices that lose their key: cleared data, a new profile, a reinstalled system.
const KEY_LOSSES_PER_YEAR: f64 = 0.7;
/// Devices that are replaced: after three years.
const REPLACED_PER_YEAR: f64 = 0.33;
/// People who keep no key at all, because their browser forgets everything when it closes.
const NEVER_KEEPS: f64 = 0.03;
/// Log-ins in a private window, and on a machine that is somebody else's.
const PRIVATE_WINDOW: f64 = 0.01;
const BORROWED: f64 = 0.005;
/// People who are away for months once.
const LONG_ABSENCE: f64 = 0.02;
/// New versions of browsers: every four weeks (Chrome's and Firefox's calendars); people get them within ten days.
const RELEASE_DAYS: f64 = 28.0;

/// Which attempts are made: at one log-in in this many.
const ATTACK_EVERY: f64 = 8.0;

#[derive(Clone, Copy)]
struct Client {
    browser: u8,
    system: u8,
    kind: u8,
    /// Strings differ in more than browser and system: builds, languages, extensions.
    variant: u8,
    lag_days: f64,
}

#[derive(Clone, Copy)]
struct Device {
    client: Client,
    has_key: bool,
    key_lost_at: f64,
    replaced_at: f64,
}

struct Person {
    id: u32,
    home: [u8; 2],
    office: Option<usize>,
    office_share: f64,
    city: usize,
    provider: usize,
    address: u64,
    lease_ends: f64,
    moves_at: f64,
    tethers: bool,
    company_vpn: bool,
    own_vpn: bool,
    journeys_per_year: f64,
    keeps_keys: bool,
    devices: Vec<Device>,
    away: (f64, f64),
    journey: (f64, f64, [u8; 2]),
    next_journey: f64,
}

/// Everything that happens, in order of time.
pub fn steps(seed: u64, people: u32) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = Vec::new();
    for id in 0..people {
        let mut person = Person::new(id, &mut chance);
        // Three in five are there at the begin, the others join over the year.
        let mut day = if chance.happens(0.6) { chance.share() * 10.0 } else { chance.share() * DAYS };
        let gap_days = 7.0 / (PER_WEEK * (PER_WEEK_SPREAD * chance.normal()).exp()).clamp(0.1, 20.0);
        while day < DAYS {
            if day < person.away.0 || day > person.away.1 {
                let log_in = person.log_in(day, &mut chance);
                let is_tried = chance.happens(1.0 / ATTACK_EVERY);
                let attacks = if is_tried { attacks(&person, day, people, &mut chance) } else { Vec::new() };
                steps.push(Step { log_in, attacks });
            }
            day += chance.wait(gap_days).max(0.01);
        }
    }
    steps.sort_by(|one, other| one.log_in.day.total_cmp(&other.log_in.day));
    steps
}

impl Person {
    fn new(id: u32, chance: &mut Chance) -> Self {
        let at = chance.weighted(&HOMES.map(|home| home.1));
        let home = HOMES.get(at).map_or(*b"DE", |home| home.0);
        let office = (at < OFFICE_COUNT).then_some(at);
        let office_share =
            office.map_or(0.0, |_| [0.9, 0.5, 0.05].get(chance.weighted(&[20.0, 50.0, 30.0])).copied().unwrap_or(0.5));
        let device_count = 1 + chance.weighted(&[35.0, 45.0, 20.0]);
        let keeps_keys = !chance.happens(NEVER_KEEPS);
        let absence = if chance.happens(LONG_ABSENCE) { chance.share() * DAYS } else { f64::MAX };
        let mut person = Self {
            id,
            home,
            office,
            office_share,
            city: chance.below(CITIES_PER_COUNTRY),
            provider: chance.weighted(&PROVIDERS),
            address: 0,
            lease_ends: 0.0,
            moves_at: chance.wait(365.0 / MOVES_PER_YEAR),
            tethers: chance.happens(TETHERS),
            company_vpn: office.is_some() && chance.happens(COMPANY_VPN),
            own_vpn: chance.happens(OWN_VPN),
            journeys_per_year: if chance.happens(TRAVELLERS) { 10.0 } else { 1.5 },
            keeps_keys,
            devices: Vec::new(),
            away: (absence, absence + 100.0 + chance.share() * 100.0),
            journey: (f64::MAX, f64::MAX, home),
            next_journey: 0.0,
        };
        for number in 0..device_count {
            let client = client(number == 2, chance);
            person.devices.push(device(client, 0.0, chance));
        }
        person.lease(0.0, chance);
        person.next_journey = chance.wait(365.0 / person.journeys_per_year);
        person
    }

    fn lease(&mut self, day: f64, chance: &mut Chance) {
        self.address = pool(provider(self.home, self.provider), self.city, chance.below(POOL));
        self.lease_ends = if chance.happens(STATIC_ADDRESS) && day == 0.0 { f64::MAX } else { day + chance.wait(LEASE_DAYS) };
    }

    fn log_in(&mut self, day: f64, chance: &mut Chance) -> LogIn {
        self.live_until(day, chance);
        let (country, network, address) = self.place(day, chance);
        let at = chance.weighted(&[85.0, 12.0, 3.0]).min(self.devices.len() - 1);
        if chance.happens(BORROWED) {
            let borrowed = client(false, chance);
            return seen(self.id, day, (country, network, address), borrowed, false);
        }
        let in_private = chance.happens(PRIVATE_WINDOW);
        let keeps_keys = self.keeps_keys;
        let Some(device) = self.devices.get_mut(at) else {
            return seen(self.id, day, (country, network, address), client(false, chance), false);
        };
        let known = device.has_key && !in_private;
        // Each verified log-in leaves a key on a device that keeps it.
        device.has_key = device.has_key || (keeps_keys && !in_private);
        let client = device.client;
        seen(self.id, day, (country, network, address), client, known)
    }

    /// What happened since the last log-in.
    fn live_until(&mut self, day: f64, chance: &mut Chance) {
        if day > self.moves_at {
            (self.city, self.provider) = (chance.below(CITIES_PER_COUNTRY), chance.weighted(&PROVIDERS));
            self.moves_at = day + chance.wait(365.0 / MOVES_PER_YEAR);
            self.lease(day, chance);
        }
        if day > self.lease_ends {
            self.lease(day, chance);
        }
        for device in &mut self.devices {
            if day > device.replaced_at {
                let kind = device.client.kind;
                *device = self::device(client(kind != 0, chance), day, chance);
            }
            if day > device.key_lost_at {
                device.has_key = false;
                device.key_lost_at = day + chance.wait(365.0 / KEY_LOSSES_PER_YEAR);
            }
        }
        if day > self.next_journey {
            let country = if chance.happens(0.5) {
                self.home
            } else {
                HOMES.get(chance.below(HOMES.len())).map_or(self.home, |home| home.0)
            };
            self.journey = (day, day + 2.0 + chance.share() * 7.0, country);
            self.next_journey = self.journey.1 + chance.wait(365.0 / self.journeys_per_year);
        }
    }

    fn place(&self, day: f64, chance: &mut Chance) -> ([u8; 2], u32, u64) {
        let on_journey = day >= self.journey.0 && day <= self.journey.1;
        let country = if on_journey { self.journey.2 } else { self.home };
        if self.own_vpn && chance.happens(0.33) {
            let exit = HOMES.get(chance.below(HOMES.len())).map_or(*b"DE", |home| home.0);
            return vpn(exit, chance);
        }
        let office = self.office.filter(|_| !on_journey && chance.happens(self.office_share));
        if let Some(office) = office {
            return (
                self.home,
                10 + u32::try_from(office).unwrap_or(0),
                pool(10 + u32::try_from(office).unwrap_or(0), 0, chance.below(2)),
            );
        }
        if self.company_vpn && chance.happens(0.7) {
            return (*b"DE", 10, pool(10, 1, chance.below(4)));
        }
        if self.tethers && chance.happens(0.1) {
            let carrier = carrier(country, self.provider % 3);
            return (country, carrier, pool(carrier, 0, chance.below(CARRIER_POOL)));
        }
        if on_journey {
            // Hotels, trains, friends: any provider's, anywhere in the country.
            let network = provider(country, chance.weighted(&PROVIDERS));
            return (country, network, pool(network, chance.below(CITIES_PER_COUNTRY), chance.below(POOL)));
        }
        (country, provider(country, self.provider), self.address)
    }
}

fn attacks(person: &Person, day: f64, people: u32, chance: &mut Chance) -> Vec<(Attacker, LogIn)> {
    // What is common is what somebody of the organisation would use: an attacker cannot do better without knowing the person.
    let _ = people;
    let own = person.devices.first().map_or_else(|| client(false, chance), |device| device.client);
    let (anywhere, common) = (from_anywhere(chance), client(false, chance));
    let naive = seen(person.id, day, anywhere, common, false);
    let near = if chance.happens(0.6) {
        vpn(person.home, chance)
    } else {
        let network = provider(person.home, chance.weighted(&PROVIDERS));
        (person.home, network, pool(network, chance.below(CITIES_PER_COUNTRY), chance.below(POOL)))
    };
    let common = client(false, chance);
    let vpn = seen(person.id, day, near, common, false);
    let network = provider(person.home, person.provider);
    let next_door = (person.home, network, pool(network, person.city, chance.below(POOL)));
    let targeted = seen(person.id, day, next_door, own, false);
    let thief = LogIn { known_device: true, ..targeted };
    vec![(Attacker::Naive, naive), (Attacker::Vpn, vpn), (Attacker::Targeted, targeted), (Attacker::Thief, thief)]
}

fn from_anywhere(chance: &mut Chance) -> ([u8; 2], u32, u64) {
    let country = ATTACK_COUNTRIES.get(chance.weighted(&ATTACK_COUNTRIES.map(|one| one.1))).map_or(*b"CN", |one| one.0);
    if chance.happens(0.5) {
        return vpn(country, chance);
    }
    let network = provider(country, chance.weighted(&PROVIDERS));
    (country, network, pool(network, chance.below(CITIES_PER_COUNTRY), chance.below(POOL)))
}

fn seen(person: u32, day: f64, (country, network, address): ([u8; 2], u32, u64), client: Client, known_device: bool) -> LogIn {
    let (browser, system) = (u64::from(client.browser), u64::from(client.system));
    let version = whole((day - client.lag_days).max(0.0) / RELEASE_DAYS);
    // iOS and Android name their version, and that changes every two months; the others' are frozen.
    let system_version = if client.kind == 1 { whole((day - client.lag_days).max(0.0) / 60.0) } else { 0 };
    let system = system << 32 | system_version;
    let browser = browser << 32 | version;
    let agent = mixed(&[browser, system, u64::from(client.variant)]);
    LogIn { person, day, address, network, country, agent, browser, system, kind: client.kind, known_device }
}

fn device(client: Client, day: f64, chance: &mut Chance) -> Device {
    let key_lost_at = day + chance.wait(365.0 / KEY_LOSSES_PER_YEAR);
    Device { client, has_key: false, key_lost_at, replaced_at: day + chance.wait(365.0 / REPLACED_PER_YEAR) }
}

/// Browsers and systems as often as offices that build software have them.
fn client(is_phone: bool, chance: &mut Chance) -> Client {
    // Windows, macOS, Linux; iOS, Android.
    let system = if is_phone { 3 + chance.weighted(&[55.0, 45.0]) } else { chance.weighted(&[50.0, 30.0, 20.0]) };
    // Chrome, Edge, Firefox, Safari.
    let weights = match system {
        0 => [60.0, 28.0, 12.0, 0.0],
        1 => [60.0, 3.0, 10.0, 27.0],
        2 => [55.0, 1.0, 44.0, 0.0],
        3 => [20.0, 1.0, 2.0, 77.0],
        _ => [90.0, 2.0, 8.0, 0.0],
    };
    Client {
        browser: u8::try_from(chance.weighted(&weights)).unwrap_or(0),
        system: u8::try_from(system).unwrap_or(0),
        kind: u8::from(is_phone),
        variant: u8::try_from(chance.weighted(&[92.0, 3.0, 2.0, 1.0, 1.0, 0.5, 0.5])).unwrap_or(0),
        lag_days: chance.share() * 10.0,
    }
}

fn provider(country: [u8; 2], number: usize) -> u32 {
    network_of(country, u32::try_from(number).unwrap_or(0))
}

fn carrier(country: [u8; 2], number: usize) -> u32 {
    network_of(country, 50 + u32::try_from(number).unwrap_or(0))
}

fn vpn(country: [u8; 2], chance: &mut Chance) -> ([u8; 2], u32, u64) {
    let network = network_of(country, 80 + u32::try_from(chance.below(4)).unwrap_or(0));
    (country, network, pool(network, 0, chance.below(VPN_POOL)))
}

fn network_of([a, b]: [u8; 2], number: u32) -> u32 {
    (u32::from(a) << 8 | u32::from(b)) * 100 + number
}

fn pool(network: u32, city: usize, number: usize) -> u64 {
    mixed(&[u64::from(network), city as u64, number as u64])
}

fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(7, |mixed, part| Chance::new(mixed ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93)).bits())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "days of a year")]
fn whole(number: f64) -> u64 {
    number as u64
}
