//! How things stand around a request, as a policy sees it.

use cedar_policy::{Context, RestrictedExpression};
use gate::{Caller, DataClasses, Facts};
use kernel::Micros;

use crate::roles::TO_A_VERSION;
use crate::types::PolicyError;

/// The risk that counts as certain; anything above is held to it.
const RISK_MAX: i64 = 100;
/// The highest authenticator assurance level (NIST SP 800-63B).
const ASSURANCE_MAX: i64 = 3;
/// The highest tier of a device.
const DEVICE_TIER_MAX: u8 = 3;

/// How things stand around a request. All integers are held in range before Cedar sees them: an overflow in a `forbid`
/// is an error, and Cedar skips what errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circumstances {
    pub(crate) risk: u8,
    pub(crate) assurance: u8,
    pub(crate) locked: bool,
    /// The caller came with a browser's session.
    pub(crate) session: bool,
    /// What opened it cannot be passed on by a page that pretends to be ours.
    pub(crate) phishing_resistant: bool,
    /// How long ago its holder showed who they are, at most: one of [`PROOF_AGES_S`].
    pub(crate) proof_age_s: u32,
    /// How far the device is trusted that the caller came from; 0 for none.
    pub(crate) device_tier: u8,
    /// How far it must be, for what is read.
    pub(crate) least_tier: u8,
}

/// The ages of a proof that a policy can tell apart; an age counts as the next of these, so that verdicts can be kept. What is older counts as
/// the last.
pub(crate) const PROOF_AGES_S: [u32; 6] = [0, 300, 900, 3_600, 43_200, 2_592_000];

impl Circumstances {
    /// A token of somebody who is not risky.
    pub(crate) const CALM: Self = Self {
        risk: 0,
        assurance: 1,
        locked: false,
        session: false,
        phishing_resistant: false,
        proof_age_s: 0,
        device_tier: 0,
        least_tier: 0,
    };

    /// Nothing speaks against it, and the caller has shown all there is to show.
    pub(crate) const fn best(self) -> Self {
        Self { risk: 0, assurance: 3, phishing_resistant: true, proof_age_s: 0, ..self }
    }

    /// The same from a device that is trusted as far as any.
    pub(crate) const fn best_device(self) -> Self {
        Self { device_tier: DEVICE_TIER_MAX, ..self }
    }

    /// As this caller comes, at this risk, to what has these facts.
    pub(crate) fn of(caller: &Caller, facts: &Facts, (risk, locked): (u8, bool), now: Micros) -> Self {
        let proof = caller.proof.as_ref();
        // A proof from the future is none that a clock can be trusted with.
        let age_s = |at: Micros| u32::try_from(now.0.saturating_sub(at.0).div_euclid(1_000_000)).unwrap_or(u32::MAX);
        let counted = |age_s: u32| PROOF_AGES_S.into_iter().find(|known| age_s <= *known).unwrap_or(2_592_000);
        Self {
            risk: risk.min(100),
            assurance: caller.assurance.min(3),
            locked,
            session: proof.is_some(),
            phishing_resistant: proof.is_some_and(|proof| proof.method.is_phishing_resistant()),
            proof_age_s: proof.map_or(0, |proof| counted(age_s(proof.at))),
            device_tier: caller.device.as_ref().map_or(0, |device| device.tier.min(DEVICE_TIER_MAX)),
            least_tier: facts.least_tier.min(DEVICE_TIER_MAX),
        }
    }

    /// The same caller after another log-in: how it would be asked for (RFC 9470), from the least to the most.
    pub(crate) fn stronger(self) -> [(&'static str, Self); 5] {
        let as_strong = |assurance: u8, phishing_resistant: bool| Self {
            assurance: self.assurance.max(assurance),
            phishing_resistant: self.phishing_resistant || phishing_resistant,
            ..self
        };
        [
            (ACR_ANY, self),
            (ACR_SECOND_FACTOR, as_strong(2, false)),
            (ACR_PHISHING_RESISTANT, as_strong(2, true)),
            (ACR_HARDWARE, as_strong(3, true)),
            (ACR_PHISHING_RESISTANT, Self { risk: 0, ..as_strong(3, true) }),
        ]
    }

    /// The context that Cedar is asked with.
    pub(crate) fn context(self, data: DataContext) -> Result<Context, PolicyError> {
        let risk = i64::from(self.risk).clamp(0, RISK_MAX);
        let assurance = i64::from(self.assurance).clamp(0, ASSURANCE_MAX);
        Context::from_pairs([
            ("risk".to_owned(), RestrictedExpression::new_long(risk)),
            ("assurance".to_owned(), RestrictedExpression::new_long(assurance)),
            ("locked".to_owned(), RestrictedExpression::new_bool(self.locked)),
            ("session".to_owned(), RestrictedExpression::new_bool(self.session)),
            ("phishing_resistant".to_owned(), RestrictedExpression::new_bool(self.phishing_resistant)),
            ("proof_age_s".to_owned(), RestrictedExpression::new_long(i64::from(self.proof_age_s))),
            ("device_tier".to_owned(), RestrictedExpression::new_long(i64::from(self.device_tier))),
            ("least_tier".to_owned(), RestrictedExpression::new_long(i64::from(self.least_tier))),
            ("data".to_owned(), data.expression()),
        ])
        .map_err(|error| PolicyError::Engine(error.to_string()))
    }
}

/// `acr_values`: any log-in, two factors, and as OpenID's EAP ACR names them, phishing-resistant and in hardware.
const ACR_ANY: &str = "urn:strongroom:acr:1";
const ACR_SECOND_FACTOR: &str = "urn:strongroom:acr:2";
const ACR_PHISHING_RESISTANT: &str = "phr";
const ACR_HARDWARE: &str = "phrh";

/// What is known of a data set's version, beside what it is for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataContext {
    state: &'static str,
    classes: DataClasses,
    own: bool,
    training: bool,
}

impl DataContext {
    /// Of what is no version of a data set.
    pub(crate) const NONE: Self = Self {
        state: "none",
        classes: DataClasses { personal: false, special: false, health: false, financial: false },
        own: false,
        training: false,
    };

    /// Of what `facts` tell, to this caller.
    pub(crate) fn of(caller: &Caller, facts: &Facts) -> Self {
        let Some(data) = facts.data else { return Self::NONE };
        let scopes = caller.token.as_ref().map(|token| token.scopes.as_slice()).unwrap_or_default();
        Self {
            state: data.state.word(),
            classes: data.classes,
            own: facts.owner.as_ref() == Some(&caller.id),
            training: scopes.iter().any(|scope| scope.contains(TO_A_VERSION)),
        }
    }

    fn expression(self) -> RestrictedExpression {
        let flag = |name: &str, value: bool| (name.to_owned(), RestrictedExpression::new_bool(value));
        let fields = [
            ("state".to_owned(), RestrictedExpression::new_string(self.state.to_owned())),
            flag("personal", self.classes.personal),
            flag("special", self.classes.special),
            flag("health", self.classes.health),
            flag("financial", self.classes.financial),
            flag("own", self.own),
            flag("training", self.training),
        ];
        // The names differ, so that there is nothing to refuse; an empty record makes every policy that asks err, which refuses.
        RestrictedExpression::new_record(fields).unwrap_or_else(|_| RestrictedExpression::new_bool(false))
    }
}
