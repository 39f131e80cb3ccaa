//! Who knocks: what came with the request ([`Attempt`]) and whom it was found to be ([`Caller`]).

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use kernel::Secret;

use crate::Action;

/// The workspace of a client that names none.
pub const DEFAULT_WORKSPACE: &str = "default";

/// What a request brought to say who it is.
#[derive(Debug)]
pub enum Credential {
    /// Nothing: the caller is anonymous.
    None,
    /// `Authorization: Bearer`, as `MLFLOW_TRACKING_TOKEN` sends it.
    Bearer(Secret),
    /// `Authorization: Basic`, as `MLFLOW_TRACKING_USERNAME` and `…_PASSWORD` send it.
    Basic {
        /// The account's name, or anything where the password is a token.
        username: String,
        /// Its password, or a token.
        password: Secret,
    },
    /// A browser's session cookie.
    Session(Secret),
    /// A signature over the request by an access key (AWS Signature Version 4).
    Signed(Box<Signed>),
    /// A job or a command of this very process.
    Job(JobPass),
    /// A header that could not be read. It is refused, not treated as absent.
    Malformed,
}

/// A signature over a request's head, as AWS Signature Version 4 makes it. Whether it is well-formed, complete and of this hour was found
/// before it comes here; whose it is and whether it is right was not.
#[derive(Clone)]
pub struct Signed {
    /// The id of the key that signed.
    pub access_key: String,
    /// What came with a short-lived key.
    pub session_token: Option<Secret>,
    /// The day that the signature is for: `YYYYMMDD`.
    pub date: String,
    /// The region that it is for.
    pub region: String,
    /// The service that it is for: `s3`.
    pub service: String,
    /// What was signed.
    pub string_to_sign: String,
    /// The signature.
    pub signature: [u8; 32],
    /// Where the key that proved right is left for what comes signed after the head: the pieces of a body.
    pub signing_key: Arc<OnceLock<Secret>>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Proof that the caller is part of this process. Only a [`JobKey`] makes one.
#[derive(Clone, Debug)]
pub struct JobPass {
    name: &'static str,
}

impl JobPass {
    /// The job's name, which the policy knows.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Makes the identities of background jobs and local commands. `Gate::new` gives out the only one.
#[derive(Debug)]
pub struct JobKey {
    _private: (),
}

impl JobKey {
    pub(crate) const fn new() -> Self {
        Self { _private: () }
    }

    /// The identity of the job `name`.
    #[must_use]
    pub const fn pass(&self, name: &'static str) -> JobPass {
        JobPass { name }
    }
}

/// One knock at the door: everything that is known before the caller is.
#[derive(Debug)]
pub struct Attempt {
    /// What it brought.
    pub credential: Credential,
    /// Where the connection came from.
    pub address: IpAddr,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The workspace asked for, by name.
    pub workspace: String,
    /// SHA-256 of the TLS client certificate, once a room checks devices.
    pub client_certificate: Option<[u8; 32]>,
}

impl Attempt {
    /// A knock from this process.
    #[must_use]
    pub fn of_job(pass: JobPass) -> Self {
        Self {
            credential: Credential::Job(pass),
            address: IpAddr::from([127, 0, 0, 1]),
            user_agent: None,
            workspace: DEFAULT_WORKSPACE.to_owned(),
            client_certificate: None,
        }
    }
}

/// What kind of caller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// Nobody known. A caller like any other, to whom almost nothing is allowed.
    Anonymous,
    /// A person.
    User,
    /// A service account.
    Service,
    /// A job or command of this process.
    Job,
}

impl CallerKind {
    /// The word for records and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::Service => "service",
            Self::Job => "job",
        }
    }
}

/// What is known of the token or session that the caller used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The token's or session's id (not the secret).
    pub id: String,
    /// The actions it is narrowed to, as patterns such as `runs.*`; empty means all that its owner may do.
    pub scopes: Vec<String>,
    /// The workspace it is narrowed to (its id).
    pub workspace: Option<String>,
}

/// What a credential that was made for one errand is good for: one verb, on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The verb. The gate refuses every other.
    pub action: Action,
    /// The thing, as the verb names it. The verb refuses every other.
    pub subject: String,
}

/// Whom the attempt was found to be.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What kind.
    pub kind: CallerKind,
    /// A random id that means nothing outside; `anonymous` or the job's name for those.
    pub id: String,
    /// The account's name, for answers to the caller and run attribution. Never in records.
    pub name: String,
    /// The groups it belongs to, by id, all levels.
    pub groups: Vec<String>,
    /// The token or session used.
    pub token: Option<TokenFacts>,
    /// Authenticator assurance level (NIST SP 800-63B): 0 for anonymous, 1 for a password or token.
    pub assurance: u8,
    /// The one errand that the credential was made for; none for a credential of the caller's own.
    pub pass: Option<Pass>,
}

impl Caller {
    /// The caller that brought nothing.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            kind: CallerKind::Anonymous,
            id: "anonymous".to_owned(),
            name: "anonymous".to_owned(),
            groups: Vec::new(),
            token: None,
            assurance: 0,
            pass: None,
        }
    }

    /// The caller behind a job's pass.
    #[must_use]
    pub fn job(pass: &JobPass) -> Self {
        Self {
            kind: CallerKind::Job,
            id: pass.name().to_owned(),
            name: pass.name().to_owned(),
            groups: Vec::new(),
            token: None,
            assurance: 3,
            pass: None,
        }
    }
}
