//! What a log-in is asked for: by its percentile, and by rules that no percentile averages away.

use kernel::Micros;

use crate::geo::{Country, Whence};
use crate::model::Score;
use crate::places;
use crate::velocity::{ADDRESS_ACCOUNT_COUNT, NETWORK_ACCOUNT_COUNT};

/// Log-ins of a person before which their habits say nothing.
pub const FIRST_LOG_IN_COUNT: usize = 5;
/// An account is dormant when nobody logged in for so long.
pub const DORMANT_DAYS: i64 = 90;
/// Nobody travels faster, doors to doors.
pub const SPEED_KMH_MAX: f64 = 900.0;
/// Nearer places are not worth a suspicion.
pub const JOURNEY_KM_MIN: f64 = 500.0;

/// The rules that speak where little is known, and against nobody.
const UNKNOWN_ONLY: [&str; 3] = ["no_known_device", "first_log_ins", "too_few_log_ins"];

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Band {
    /// No more than the password, or whatever it came with.
    #[default]
    Nothing,
    /// Any second factor.
    SecondFactor,
    /// One that cannot be phished.
    PhishingResistant,
    /// It is refused, and somebody is told.
    Refuse,
}

impl Band {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SecondFactor => "second_factor",
            Self::PhishingResistant => "phishing_resistant",
            Self::Refuse => "refuse",
        }
    }

    /// The band of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Nothing, Self::SecondFactor, Self::PhishingResistant, Self::Refuse].into_iter().find(|band| band.word() == word)
    }
}

/// From which percentile on each band is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Any second factor.
    pub second_factor: u8,
    /// One that cannot be phished.
    pub phishing_resistant: u8,
    /// Refusal.
    pub refuse: u8,
}

impl Default for Bands {
    fn default() -> Self {
        Self { second_factor: 85, phishing_resistant: 95, refuse: 99 }
    }
}

impl Bands {
    /// The band of a percentile.
    #[must_use]
    pub fn of(&self, percentile: f64) -> Band {
        if percentile >= f64::from(self.refuse) {
            Band::Refuse
        } else if percentile >= f64::from(self.phishing_resistant) {
            Band::PhishingResistant
        } else if percentile >= f64::from(self.second_factor) {
            Band::SecondFactor
        } else {
            Band::Nothing
        }
    }

    /// Where a band begins.
    #[must_use]
    pub const fn floor(&self, band: Band) -> u8 {
        match band {
            Band::Nothing => 0,
            Band::SecondFactor => self.second_factor,
            Band::PhishingResistant => self.phishing_resistant,
            Band::Refuse => self.refuse,
        }
    }

    /// Whether they are in order.
    #[must_use]
    pub const fn are_in_order(&self) -> bool {
        self.second_factor >= 1
            && self.second_factor <= self.phishing_resistant
            && self.phishing_resistant <= self.refuse
            && self.refuse <= 100
    }
}

/// Why: an addend of the score, or a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason {
    /// A stable word.
    pub word: &'static str,
    /// Nats that an addend adds; 0 for a rule.
    pub weight: f64,
    /// What a rule asks for; none for an addend.
    pub asks: Option<Band>,
}

impl Reason {
    /// An addend of a score.
    #[must_use]
    pub const fn addend(word: &'static str, weight: f64) -> Self {
        Self { word, weight, asks: None }
    }

    const fn rule(word: &'static str, asks: Band) -> Self {
        Self { word, weight: 0.0, asks: Some(asks) }
    }
}

/// What the rules look at, besides the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleFacts {
    /// It came with a key that this person's device holds.
    pub known_device: bool,
    /// Where it came from.
    pub whence: Whence,
    /// The country of the last verified log-in, and when that was.
    pub last_place: Option<(Country, Micros)>,
    /// Its network, or that of the last one, is a mobile carrier's or a VPN's: it says nothing of where somebody is.
    pub travels_freely: bool,
    /// Accounts that failed lately at the same address.
    pub address_account_count: usize,
    /// Accounts that failed lately in the same network.
    pub network_account_count: usize,
    /// It came from a network that the operator refuses.
    pub is_denied: bool,
    /// The password is in a list of leaked ones.
    pub password_is_leaked: bool,
    /// When.
    pub now: Micros,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The score, in nats.
    pub score: f64,
    /// The percentage of the server's accepted log-ins that scored lower; none while there are too few of them.
    pub percentile: Option<f64>,
    /// 0 to 100, for policies: the percentile, or where the band begins that a rule asks for.
    pub risk: u8,
    /// What is asked for.
    pub band: Band,
    /// What the percentile alone asks for.
    pub by_rank: Band,
    /// Why: the score's addends, then the rules.
    pub reasons: Vec<Reason>,
}

impl Judged {
    /// Whether nothing speaks against it but that little is known: of this person, of the server's log-ins, and no device of theirs.
    #[must_use]
    pub fn is_only_unknown(&self) -> bool {
        let is_first = self.has("first_log_ins");
        let is_harmless = |reason: &Reason| match reason.word {
            // Before the first log-ins no place is known.
            "unknown_place" => is_first,
            word => reason.asks.is_none() || UNKNOWN_ONLY.contains(&word),
        };
        self.band <= Band::SecondFactor && self.reasons.iter().all(is_harmless)
    }

    /// Whether a rule asked for something.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.reasons.iter().any(|reason| reason.word == word)
    }
}

/// Judges a log-in.
#[must_use]
pub fn judge(score: &Score, percentile: Option<f64>, facts: &RuleFacts, bands: &Bands) -> Judged {
    let mut reasons: Vec<Reason> = score.terms.iter().flatten().map(|term| Reason::addend(term.word, term.nats)).collect();
    reasons.extend(rules(score, percentile, facts));
    let asked = reasons.iter().filter_map(|reason| reason.asks).max().unwrap_or_default();
    // Where all is as it was before, a high percentile says only that everybody's log-ins are alike: nothing is asked for.
    let rank = percentile.unwrap_or(0.0);
    let rank = if is_familiar(score, facts) { rank.min(f64::from(bands.second_factor) - 1.0) } else { rank };
    let by_rank = bands.of(rank);
    let band = asked.max(by_rank);
    let risk = whole(rank).max(bands.floor(band));
    Judged { score: score.nats, percentile, risk, band, by_rank, reasons }
}

/// Whether this person has come from this address before, with this very client, and on a device of theirs now.
#[must_use]
pub fn is_familiar(score: &Score, facts: &RuleFacts) -> bool {
    let has = |word: &str| score.terms.iter().flatten().any(|term| term.word == word);
    facts.known_device && has("known_address") && has("known_client")
}

fn rules(score: &Score, percentile: Option<f64>, facts: &RuleFacts) -> Vec<Reason> {
    let mut rules = Vec::new();
    if facts.is_denied {
        rules.push(Reason::rule("denied_network", Band::Refuse));
    }
    if !facts.known_device {
        rules.push(Reason::rule("no_known_device", Band::SecondFactor));
        // The first log-ins from a device that was enrolled with a proof are its person's: asking again would prove nothing new.
        if score.known_count < FIRST_LOG_IN_COUNT {
            rules.push(Reason::rule("first_log_ins", Band::SecondFactor));
        }
        // What strangers do at an address must not cost those their way in who sit behind it on a device of theirs.
        if facts.address_account_count >= ADDRESS_ACCOUNT_COUNT || facts.network_account_count >= NETWORK_ACCOUNT_COUNT {
            rules.push(Reason::rule("many_accounts_tried", Band::PhishingResistant));
        }
    }
    if percentile.is_none() {
        rules.push(Reason::rule("too_few_log_ins", Band::SecondFactor));
    }
    let is_address_known = score.terms.iter().flatten().any(|term| term.word == "known_address");
    if facts.whence.is_unknown() && !is_address_known {
        rules.push(Reason::rule("unknown_place", Band::SecondFactor));
    }
    if score.last_at.is_some_and(|last| facts.now.0.saturating_sub(last.0) > DORMANT_DAYS * 86_400_000_000) {
        rules.push(Reason::rule("dormant", Band::SecondFactor));
    }
    if is_impossible_journey(facts) {
        // Countries are all that is known, so it is no certainty: a factor is asked for, nobody is refused.
        rules.push(Reason::rule("impossible_travel_by_country", Band::SecondFactor));
    }
    if facts.password_is_leaked {
        rules.push(Reason::rule("leaked_password", Band::SecondFactor));
    }
    rules
}

fn is_impossible_journey(facts: &RuleFacts) -> bool {
    let (Some(here), Some(last_place)) = (facts.whence.country, facts.last_place) else { return false };
    !facts.travels_freely && impossible_km(last_place, (here, facts.now)).is_some()
}

/// How many kilometres lie at least between two countries, if nobody gets from the one to the other in that time. None where it is possible, and
/// where it cannot be told.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "hours of years are exact enough")]
pub fn impossible_km((there, left_at): (Country, Micros), (here, came_at): (Country, Micros)) -> Option<f64> {
    let distance_km = places::apart_km(there, here)?;
    let hours = came_at.0.saturating_sub(left_at.0).max(0) as f64 / 3_600_000_000.0;
    (distance_km > JOURNEY_KM_MIN && distance_km > SPEED_KMH_MAX * hours).then_some(distance_km)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was clamped to what fits")]
fn whole(percentile: f64) -> u8 {
    percentile.clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Term;

    const DAY_US: i64 = 86_400_000_000;
    const NOW: Micros = Micros(1_800_000_000_000_000);

    fn score(known_count: usize) -> Score {
        let address = Term { word: "known_address", nats: -1.5 };
        let terms = [Some(address), None, None, Some(Term { word: "known_device", nats: -3.0 })];
        Score { nats: -4.5, terms, known_count, last_at: Some(Micros(NOW.0 - DAY_US)) }
    }

    fn facts() -> RuleFacts {
        let norway = Country::parse("NO").unwrap();
        RuleFacts {
            known_device: true,
            whence: Whence { country: Some(norway), network: Some(64_500), is_private: false },
            last_place: Some((norway, Micros(NOW.0 - DAY_US))),
            travels_freely: false,
            address_account_count: 0,
            network_account_count: 0,
            is_denied: false,
            password_is_leaked: false,
            now: NOW,
        }
    }

    fn check(change: impl FnOnce(&mut RuleFacts), band: Band, word: &str) {
        let mut facts = facts();
        change(&mut facts);
        let judged = judge(&score(50), Some(10.0), &facts, &Bands::default());
        assert_eq!(judged.band, band, "{judged:?}");
        assert!(judged.has(word), "{judged:?}");
        assert_eq!(judged.risk, Bands::default().floor(band).max(10));
    }

    #[test]
    fn a_percentile_is_a_band() {
        for (percentile, band) in [
            (0.0, Band::Nothing),
            (84.9, Band::Nothing),
            (85.0, Band::SecondFactor),
            (95.0, Band::PhishingResistant),
            (99.0, Band::Refuse),
            (100.0, Band::Refuse),
        ] {
            let judged = judge(&score(50), Some(percentile), &facts(), &Bands::default());
            assert_eq!(judged.band, band, "{percentile}");
            assert_eq!(judged.reasons.len(), 2);
            let terms = [score(50).terms[0], Some(Term { word: "known_client", nats: -1.0 }), None, None];
            let familiar = judge(&Score { terms, ..score(50) }, Some(percentile), &facts(), &Bands::default());
            assert!(familiar.band == Band::Nothing && familiar.risk <= 84, "where all is as always nothing is asked for");
        }
        let calm = judge(&score(50), Some(10.0), &facts(), &Bands::default());
        assert_eq!((calm.risk, calm.by_rank), (10, Band::Nothing));
    }

    #[test]
    fn what_is_only_unknown_is_told_from_what_speaks_against_somebody() {
        let judged = |percentile: Option<f64>, known_count: usize, change: &dyn Fn(&mut RuleFacts)| {
            let mut facts = RuleFacts { known_device: false, ..facts() };
            change(&mut facts);
            judge(&score(known_count), percentile, &facts, &Bands::default())
        };
        assert!(judged(None, 0, &|_| ()).is_only_unknown());
        let rank = judged(Some(90.0), 50, &|_| ());
        assert!(rank.is_only_unknown() && rank.by_rank == Band::SecondFactor);
        assert!(!judged(Some(95.0), 50, &|_| ()).is_only_unknown());
        assert!(!judged(None, 0, &|facts| facts.password_is_leaked = true).is_only_unknown());
        assert!(!judged(None, 0, &|facts| facts.address_account_count = ADDRESS_ACCOUNT_COUNT).is_only_unknown());
    }

    #[test]
    fn each_rule_speaks_for_itself() {
        let place = |letters: &str| Country::parse(letters);
        check(|facts| facts.known_device = false, Band::SecondFactor, "no_known_device");
        check(|facts| facts.is_denied = true, Band::Refuse, "denied_network");
        check(|facts| facts.password_is_leaked = true, Band::SecondFactor, "leaked_password");
        check(|facts| facts.now = Micros(NOW.0 + 90 * DAY_US), Band::SecondFactor, "dormant");
        let soon = Micros(NOW.0 - 3_600_000_000);
        check(
            |facts| facts.last_place = place("AU").map(|there| (there, soon)),
            Band::SecondFactor,
            "impossible_travel_by_country",
        );
        check(
            |facts| (facts.known_device, facts.address_account_count) = (false, ADDRESS_ACCOUNT_COUNT),
            Band::PhishingResistant,
            "many_accounts_tried",
        );
    }

    #[test]
    fn what_is_possible_or_not_the_callers_doing_asks_for_nothing() {
        let soon = Micros(NOW.0 - 3_600_000_000);
        let calm = |change: &dyn Fn(&mut RuleFacts)| {
            let mut facts = facts();
            change(&mut facts);
            let judged = judge(&score(50), Some(10.0), &facts, &Bands::default());
            assert_eq!(judged.band, Band::Nothing, "{judged:?}");
        };
        calm(&|facts| facts.last_place = Country::parse("SE").map(|there| (there, soon)));
        calm(&|facts| facts.last_place = Country::parse("AU").map(|there| (there, Micros(NOW.0 - DAY_US))));
        calm(&|facts| (facts.last_place, facts.travels_freely) = (Country::parse("AU").map(|there| (there, soon)), true));
        // Strangers that spray from behind the same address do not touch a device that is known.
        calm(&|facts| (facts.address_account_count, facts.network_account_count) = (1_000, 1_000));
    }

    #[test]
    fn what_is_unknown_is_never_safe() {
        let mut facts = facts();
        facts.whence = Whence::default();
        assert_eq!(judge(&score(50), Some(1.0), &facts, &Bands::default()).band, Band::Nothing, "the address itself is known");
        let elsewhere = Score { terms: [Some(Term { word: "new_country", nats: 1.4 }), None, None, None], ..score(50) };
        assert!(judge(&elsewhere, Some(1.0), &facts, &Bands::default()).has("unknown_place"));
        let early = judge(&score(50), None, &facts, &Bands::default());
        assert!(early.band == Band::SecondFactor && early.has("too_few_log_ins"));
    }

    #[test]
    fn first_log_ins_ask_unless_the_device_was_enrolled() {
        let mut facts = facts();
        assert_eq!(judge(&score(2), Some(1.0), &facts, &Bands::default()).band, Band::Nothing);
        facts.known_device = false;
        let judged = judge(&score(2), Some(1.0), &facts, &Bands::default());
        assert!(judged.has("first_log_ins") && judged.has("no_known_device"));
        assert!(!judge(&score(5), Some(1.0), &facts, &Bands::default()).has("first_log_ins"));
    }

    #[test]
    fn bands_are_words_and_in_order() {
        for band in [Band::Nothing, Band::SecondFactor, Band::PhishingResistant, Band::Refuse] {
            assert_eq!(Band::parse(band.word()), Some(band));
        }
        assert!(Bands::default().are_in_order());
        assert!(!Bands { second_factor: 96, ..Bands::default() }.are_in_order());
        assert!(!Bands { second_factor: 0, ..Bands::default() }.are_in_order());
    }
}
