//! What an operator may set of rates.

use kernel::Problem;
use serde::{Deserialize, Serialize};

use super::Class;

/// A rate: how many at once, and how many a minute after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// At once.
    pub burst_count_max: u32,
    /// And then per minute.
    pub per_minute_count_max: u32,
}

/// The rates of one caller, address or workspace, by what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Sessions and exchanged tokens.
    pub sign_in: Rate,
    /// What only looks.
    pub read: Rate,
    /// What changes something.
    pub write: Rate,
    /// Predictions.
    pub predict: Rate,
}

/// The `[limits]` section. What is set of one kind replaces all four rates of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// How many servers share the database.
    pub servers_count: u32,
    /// One token, session or access key.
    pub token: Rates,
    /// One account, with all that it has.
    pub account: Rates,
    /// Everybody in a workspace.
    pub workspace: Rates,
    /// Every known caller of one address, or of one network for IPv6.
    pub address: Rates,
}

/// What a rate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Token,
    Account,
    Workspace,
    Address,
}

impl Of {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Account => "account",
            Self::Workspace => "workspace",
            Self::Address => "address",
        }
    }

    /// The rate's name, as answers tell it.
    pub(crate) const fn name(self, class: Class) -> &'static str {
        use Class::{Predict, Read, SignIn, Write};
        match (self, class) {
            (Self::Token, SignIn) => "token-sign-in",
            (Self::Token, Read) => "token-read",
            (Self::Token, Write) => "token-write",
            (Self::Token, Predict) => "token-predict",
            (Self::Account, SignIn) => "account-sign-in",
            (Self::Account, Read) => "account-read",
            (Self::Account, Write) => "account-write",
            (Self::Account, Predict) => "account-predict",
            (Self::Workspace, SignIn) => "workspace-sign-in",
            (Self::Workspace, Read) => "workspace-read",
            (Self::Workspace, Write) => "workspace-write",
            (Self::Workspace, Predict) => "workspace-predict",
            (Self::Address, SignIn) => "address-sign-in",
            (Self::Address, Read) => "address-read",
            (Self::Address, Write) => "address-write",
            (Self::Address, Predict) => "address-predict",
        }
    }
}

/// More than one machine answers: what is counted stops loops that have run away, and nobody's work.
fn rates(times: u32) -> Rates {
    let rate = |burst_count: u32, per_minute_count: u32| Rate {
        burst_count_max: burst_count * times,
        per_minute_count_max: per_minute_count * times,
    };
    Rates { sign_in: rate(60, 120), read: rate(60_000, 600_000), write: rate(60_000, 600_000), predict: rate(120_000, 1_200_000) }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { servers_count: 1, token: rates(1), account: rates(2), workspace: rates(5), address: rates(5) }
    }
}

const SERVERS_COUNT_LIMIT: u32 = 64;
const RATE_LIMIT: u32 = 60_000_000;

impl LimitsConfig {
    pub(crate) const fn of(&self, of: Of) -> &Rates {
        match of {
            Of::Token => &self.token,
            Of::Account => &self.account,
            Of::Workspace => &self.workspace,
            Of::Address => &self.address,
        }
    }

    /// Refuses values that make no rate.
    ///
    /// # Errors
    /// `Invalid`, naming the key and its bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if !(1..=SERVERS_COUNT_LIMIT).contains(&self.servers_count) {
            let message = format!("`limits.servers_count` is {}; it must be from 1 to {SERVERS_COUNT_LIMIT}", self.servers_count);
            return Err(Problem::invalid(message));
        }
        for of in [Of::Token, Of::Account, Of::Workspace, Of::Address] {
            let Rates { sign_in, read, write, predict } = *self.of(of);
            for (class, rate) in [("sign_in", sign_in), ("read", read), ("write", write), ("predict", predict)] {
                for (key, value) in
                    [("burst_count_max", rate.burst_count_max), ("per_minute_count_max", rate.per_minute_count_max)]
                {
                    if !(1..=RATE_LIMIT).contains(&value) {
                        let key = format!("limits.{}.{class}.{key}", of.word());
                        return Err(Problem::invalid(format!("`{key}` is {value}; it must be from 1 to {RATE_LIMIT}")));
                    }
                }
            }
        }
        Ok(())
    }
}
