//! The nouns of this room.

use gate::Method;
use kernel::{Micros, Secret};

use crate::secret_text::SecretKind;

/// A checked name of an account, group or workspace. See [`Name::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub(crate) const fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A checked pattern of actions. See [`ScopePattern::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopePattern(String);

impl ScopePattern {
    pub(crate) const fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What kind of principal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A service account: it has tokens but no password.
    Service,
    /// A set of principals. It cannot log in.
    Group,
}

impl PrincipalKind {
    /// The word in the principal table and in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Group => "group",
        }
    }

    pub(crate) const fn id_prefix(self) -> &'static str {
        match self {
            Self::User => "u_",
            Self::Service => "s_",
            Self::Group => "g_",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::User, Self::Service, Self::Group].into_iter().find(|kind| kind.word() == word)
    }
}

/// A principal as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its id: random, never used again.
    pub id: String,
    /// What kind.
    pub kind: PrincipalKind,
    /// Its name.
    pub name: String,
    /// Whether it is barred.
    pub disabled: bool,
    /// Who made it, by id.
    pub owner: String,
    /// When it was made.
    pub created_at: Micros,
}

/// A group and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group itself.
    pub principal: Principal,
    /// Its direct members.
    pub members: Vec<Principal>,
}

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id: random, never used again.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Micros,
}

/// A token as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Whose it is, by id.
    pub principal_id: String,
    /// The beginning of the secret.
    pub prefix: String,
    /// What its maker called it.
    pub label: String,
    /// The actions it is narrowed to; empty means all that its owner may do.
    pub scopes: Vec<String>,
    /// The workspace it is narrowed to, by id.
    pub workspace_id: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// The last day (since the epoch, UTC) on which it was used, give or take a minute.
    pub last_used_day: Option<i64>,
    /// The device it is bound to, by id.
    pub device_id: Option<String>,
}

/// A token just made, with the secret that is shown this once.
#[derive(Clone, Debug)]
pub struct MintedToken {
    /// The token.
    pub token: Token,
    /// Its secret. It is kept nowhere.
    pub secret: Secret,
}

/// What came of a credential that was shown for a token.
#[derive(Debug)]
pub enum Exchanged {
    /// The token.
    Minted(Box<MintedToken>),
    /// Nothing: it was used before, and what was made of it then is revoked.
    UsedBefore,
}

/// What a new token shall be.
#[derive(Clone, Debug, Default)]
pub struct TokenWish {
    /// What to call it.
    pub label: String,
    /// The actions to narrow it to; empty means all that its owner may do.
    pub scopes: Vec<ScopePattern>,
    /// The workspace to narrow it to, by name.
    pub workspace: Option<Name>,
    /// How long it shall live; the configured default if none.
    pub lifetime_s: Option<i64>,
    /// Whether it shall count only from the device that asks for it.
    pub only_this_device: bool,
}

impl TokenWish {
    /// The same, which ends at `ends_at` at the latest.
    #[must_use]
    pub(crate) fn within(mut self, at: Micros, ends_at: Micros) -> Self {
        let left_s = ends_at.0.saturating_sub(at.0).div_euclid(1_000_000);
        self.lifetime_s = self.lifetime_s.map(|wanted_s| wanted_s.min(left_s));
        self
    }
}

/// A session as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// When it began.
    pub created_at: Micros,
    /// When it was last used, give or take a minute.
    pub last_seen: Micros,
    /// When it ends.
    pub expires_at: Micros,
    /// How strongly its holder showed who they are.
    pub assurance: u8,
    /// With what.
    pub method: Method,
    /// The device it is bound to, by id.
    pub device_id: Option<String>,
    /// Whether the request itself came with it.
    pub current: bool,
}

/// A passkey as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: String,
    /// What its owner called it.
    pub label: String,
    /// The host that it was made for.
    pub host: String,
    /// Whether it says that it is kept elsewhere too (synced).
    pub backed_up: bool,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last used.
    pub last_used_at: Option<Micros>,
}

/// What an account has beside its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factors {
    /// Since when one-time codes count.
    pub totp_since: Option<Micros>,
    /// Passkeys, oldest first.
    pub passkeys: Vec<Passkey>,
    /// Recovery codes that were not used.
    pub recovery_codes_left: i64,
}

/// A shared secret for one-time codes that waits to be confirmed.
#[derive(Clone, Debug)]
pub struct TotpOffer {
    /// As people type it: base32.
    pub typed: Secret,
    /// As authenticator apps read it from a QR code.
    pub uri: Secret,
}

/// A session just begun, with the cookie's secret.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// The cookie's value. It is kept nowhere.
    pub secret: Secret,
    /// What the browser shall keep to be known again; none where it is no log-in that began.
    pub known_browser: Option<Secret>,
}

/// The caller's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// What kind of caller.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its groups, all levels, as id and name.
    pub groups: Vec<(String, String)>,
    /// The token or session used.
    pub token: Option<gate::TokenFacts>,
    /// Authenticator assurance level.
    pub assurance: u8,
    /// With what its holder showed who they are; none for a token.
    pub method: Option<Method>,
    /// Whether it has a password.
    pub has_password: bool,
}

/// A page of a list: the rows, and where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Pass this as `after` to go on; `None` at the end.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Clone, Debug, Default)]
pub struct PageWish {
    /// The last name of the page before.
    pub after: Option<String>,
    /// How many rows; [`PAGE_ROWS_DEFAULT`] if none.
    pub rows: Option<usize>,
}

/// Rows of a page, if nobody says.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page at most.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// Principals of all kinds.
pub const PRINCIPAL_COUNT_MAX: i64 = 100_000;
/// Workspaces.
pub const WORKSPACE_COUNT_MAX: i64 = 10_000;
/// Groups that a principal is in directly.
pub const GROUPS_OF_MEMBER_COUNT_MAX: i64 = 200;
/// Direct members of a group.
pub const MEMBERS_OF_GROUP_COUNT_MAX: i64 = 10_000;
/// Live tokens of a principal.
pub const TOKENS_OF_PRINCIPAL_COUNT_MAX: i64 = 200;
/// Passkeys of a principal.
pub const PASSKEYS_OF_PRINCIPAL_COUNT_MAX: i64 = 20;
/// Live sessions of a principal; the oldest makes room.
pub const SESSIONS_OF_PRINCIPAL_COUNT_MAX: usize = 20;

impl PageWish {
    /// How many rows it may have.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.unwrap_or(PAGE_ROWS_DEFAULT).clamp(1, PAGE_ROWS_MAX)
    }
}

impl PrincipalKind {
    pub(crate) const fn secret_kind(self) -> SecretKind {
        match self {
            Self::Service => SecretKind::Service,
            Self::User | Self::Group => SecretKind::Personal,
        }
    }
}

/// Groups that a caller is in, over all levels.
pub const GROUPS_CLOSURE_COUNT_MAX: usize = 1_000;
