//! What an operator may set, each with its safe default.

use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};

use crate::store::IdleSince;

/// The `[identity]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// How long a token lives whose maker names no end.
    pub token_days_default: u32,
    /// How long a token may live at most.
    pub token_days_max: u32,
    /// How long a browser's session lives at most that began with one factor.
    pub session_hours_max: u32,
    /// After how long without a request it ends.
    pub session_idle_minutes_max: u32,
    /// The same two of a session that began with two factors (NIST SP 800-63B-4, 2.2.3: at most 24 hours, and an hour).
    pub aal2_session_hours_max: u32,
    /// See above.
    pub aal2_session_idle_minutes_max: u32,
    /// The same two of a session at assurance level 3 (NIST SP 800-63B-4, 2.3.3: at most 12 hours, and 15 minutes).
    pub aal3_session_hours_max: u32,
    /// See above.
    pub aal3_session_idle_minutes_max: u32,
    /// The shortest password, in characters (NIST SP 800-63B-4: 15 where it is the only factor).
    pub password_length_min: u32,
    /// Passwords that are hashed at the same time. Each takes 19 MiB and about 34 ms of a core.
    pub password_hash_parallel_max: u32,
    /// Logins that may wait for that.
    pub password_queue_count_max: u32,
    /// How long a login may wait for that.
    pub password_wait_ms_max: u32,
    /// How long a verified password is remembered (as a keyed hash, in memory), so that not every request pays for the
    /// hash. 0 turns it off. A changed password or a disabled account is seen at once all the same.
    pub password_memory_s_max: u32,
    /// How long a verified token or session is taken from memory. A revocation on another node is seen after this time.
    pub credential_cache_ms_max: u32,
}

/// Above this a revocation would not be seen within a second.
const CREDENTIAL_CACHE_MS_LIMIT: u32 = 500;
const PASSWORD_MEMORY_S_LIMIT: u32 = 60;
const TOKEN_DAYS_LIMIT: u32 = 365;
/// A session's last use is written down so late at most.
const USE_NOTED_S_MAX: i64 = 120;

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            token_days_default: 30,
            token_days_max: TOKEN_DAYS_LIMIT,
            session_hours_max: 12,
            session_idle_minutes_max: 60,
            aal2_session_hours_max: 24,
            aal2_session_idle_minutes_max: 60,
            aal3_session_hours_max: 12,
            aal3_session_idle_minutes_max: 15,
            password_length_min: 15,
            password_hash_parallel_max: 2,
            password_queue_count_max: 64,
            password_wait_ms_max: 3_000,
            password_memory_s_max: PASSWORD_MEMORY_S_LIMIT,
            credential_cache_ms_max: CREDENTIAL_CACHE_MS_LIMIT,
        }
    }
}

impl IdentityConfig {
    /// How long a session of this assurance level lives, and how long without a request: seconds.
    pub(crate) fn session_limits_s(&self, assurance: u8) -> (i64, i64) {
        let (hours, idle_minutes) = match assurance {
            0 | 1 => (self.session_hours_max, self.session_idle_minutes_max),
            2 => (self.aal2_session_hours_max, self.aal2_session_idle_minutes_max),
            _ => (self.aal3_session_hours_max, self.aal3_session_idle_minutes_max),
        };
        (i64::from(hours) * 3_600, i64::from(idle_minutes) * 60)
    }

    /// Since when a session may not have been idle, by its assurance level.
    pub(crate) fn idle_since(&self, at: Micros) -> IdleSince {
        IdleSince([1, 2, 3].map(|assurance| at.plus_secs(-self.session_limits_s(assurance).1 - USE_NOTED_S_MAX)))
    }

    /// Refuses values under which the room's promises would not hold.
    ///
    /// # Errors
    /// `Invalid`, naming the key and its bounds.
    pub fn check(&self) -> Result<(), Problem> {
        let within = [
            ("token_days_max", self.token_days_max, 1, TOKEN_DAYS_LIMIT),
            ("token_days_default", self.token_days_default, 1, self.token_days_max),
            ("session_hours_max", self.session_hours_max, 1, 720),
            ("session_idle_minutes_max", self.session_idle_minutes_max, 1, 43_200),
            ("aal2_session_hours_max", self.aal2_session_hours_max, 1, 720),
            ("aal2_session_idle_minutes_max", self.aal2_session_idle_minutes_max, 1, 43_200),
            ("aal3_session_hours_max", self.aal3_session_hours_max, 1, 720),
            ("aal3_session_idle_minutes_max", self.aal3_session_idle_minutes_max, 1, 43_200),
            ("password_length_min", self.password_length_min, 15, 64),
            ("password_hash_parallel_max", self.password_hash_parallel_max, 1, 64),
            ("password_queue_count_max", self.password_queue_count_max, 1, 4_096),
            ("password_wait_ms_max", self.password_wait_ms_max, 100, 30_000),
            ("password_memory_s_max", self.password_memory_s_max, 0, PASSWORD_MEMORY_S_LIMIT),
            ("credential_cache_ms_max", self.credential_cache_ms_max, 0, CREDENTIAL_CACHE_MS_LIMIT),
        ];
        for (key, value, min, max) in within {
            if value < min || value > max {
                return Err(Problem::invalid(format!("`identity.{key}` is {value}; it must be from {min} to {max}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_weaker_values_are_refused() {
        IdentityConfig::default().check().unwrap();
        let weak = IdentityConfig { credential_cache_ms_max: 5_000, ..IdentityConfig::default() };
        assert!(weak.check().unwrap_err().message().contains("credential_cache_ms_max"));
        let eternal = IdentityConfig { token_days_max: 4_000, ..IdentityConfig::default() };
        assert!(eternal.check().is_err());
    }
}
