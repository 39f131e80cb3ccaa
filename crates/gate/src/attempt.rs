//! Who knocks: what came with the request ([`Attempt`]) and whom it was found to be ([`Caller`]).

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use kernel::{Micros, Secret};

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
    /// The log-in form: a password or token, and a one-time code where the account asks for one.
    LogIn {
        /// The account's name.
        username: String,
        /// Its password, or a token.
        password: Secret,
        /// A one-time code or a recovery code; none where the field was left empty.
        code: Option<Secret>,
    },
    /// What a passkey signed (WebAuthn).
    Passkey(Box<Assertion>),
    /// What came back from a provider where somebody logged in (OpenID Connect).
    Federated(Box<Returned>),
    /// A token that another platform signed for a program (RFC 8693).
    Exchange(Secret),
    /// The secret of a command line whose log-in a person agreed to in a browser (RFC 8628).
    Device(Secret),
    /// The code of a log-in that a person agreed to in a browser on the command line's own machine (RFC 8252).
    Code(Box<ShownCode>),
    /// What an issuer that an administrator trusts signed about its people.
    Statement(Box<Statement>),
    /// A signature over the request by an access key (AWS Signature Version 4).
    Signed(Box<Signed>),
    /// The certificate of a device, and nothing else: an agent that speaks for its device.
    Certificate,
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

/// What an authenticator signed for a log-in (Web Authentication, `AuthenticatorAssertionResponse`), as it came.
pub struct Assertion {
    /// The sealed text in which the server gave out the challenge.
    pub ceremony: Secret,
    /// The origin that the browser was on: scheme, host and port.
    pub origin: String,
    /// Which key.
    pub credential_id: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// Over the two.
    pub signature: Vec<u8>,
}

/// What a command line shows for its token: what a browser brought it, and what only itself knows (RFC 7636, section 4.5).
pub struct ShownCode {
    /// The code.
    pub code: Secret,
    /// What its challenge was made of.
    pub verifier: Secret,
    /// Where the browser was sent with the code.
    pub redirect_uri: String,
}

impl fmt::Debug for ShownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownCode").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// What an issuer signed about its people, as it came. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Statement {
    /// What it is said to be.
    pub kind: StatementKind,
    /// The signed token.
    pub token: Secret,
}

/// What kind of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// Somebody logged out at their provider (OpenID Connect Back-Channel Logout 1.0).
    Logout,
    /// Something happened (a Security Event Token, RFC 8417).
    Event,
}

/// What a browser brings back from a provider (OpenID Connect Core, section 3.1.2.5).
pub struct Returned {
    /// The authorization code.
    pub code: Secret,
    /// The state that the log-in began with.
    pub state: String,
    /// The provider, where it says its name (RFC 9207).
    pub issuer: Option<String>,
    /// Where the provider was told to send the browser.
    pub redirect_uri: String,
    /// What the browser carried meanwhile.
    pub carried: Option<Secret>,
}

impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion").field("origin", &self.origin).finish_non_exhaustive()
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
    /// SHA-256 of the certificate that the client showed, by TLS or through a proxy that is trusted with that.
    pub client_certificate: Option<[u8; 32]>,
    /// What says that somebody logged in with this browser before; no credential.
    pub known_browser: Option<Secret>,
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
            known_browser: None,
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
    /// The device it is bound to (its id): from another it is worth nothing.
    pub device: Option<String>,
}

/// The device that a request came from, by the certificate that it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// How far it is trusted at this moment: 1 it holds a registered key, 2 its latest report is fresh and says that it is in order, 3 the key
    /// is in hardware that somebody vouched for too.
    pub tier: u8,
}

/// What a credential that was made for one errand is good for: one verb, on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The verb. The gate refuses every other.
    pub action: Action,
    /// The thing, as the verb names it. The verb refuses every other.
    pub subject: String,
}

/// When and how a person last showed who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When.
    pub at: Micros,
    /// With what.
    pub method: Method,
    /// What was shown that counts once: whoever opens a session with it takes it in the same commit.
    pub once: Option<Spend>,
}

/// What counts once.
#[derive(Clone, PartialEq, Eq)]
pub enum Spend {
    /// A one-time code, by its time step.
    TotpStep(i64),
    /// A recovery code, by its digest.
    RecoveryCode([u8; 32]),
    /// What a person agreed to in a browser, by the digest of its code.
    Device([u8; 32]),
    /// The code that a browser brought to a command line, by its digest.
    Code([u8; 32]),
    /// A log-in at a provider: its code counted once there. Kept with the session, which ends when the provider says so.
    Federated {
        /// The provider's issuer.
        issuer: String,
        /// What the provider calls its own session, where it says so.
        session: Option<String>,
    },
    /// A passkey's signature.
    Passkey {
        /// The key's id here.
        id: String,
        /// The counter that it signed.
        sign_count: u32,
        /// Whether it says that it is kept elsewhere too.
        backed_up: bool,
        /// SHA-256 of the challenge that it answered.
        challenge: [u8; 32],
    },
}

impl fmt::Debug for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TotpStep(_) => "TotpStep",
            Self::RecoveryCode(_) => "RecoveryCode",
            Self::Device(_) => "Device",
            Self::Code(_) => "Code",
            Self::Federated { .. } => "Federated",
            Self::Passkey { .. } => "Passkey",
        })
    }
}

/// With what somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A password alone.
    Password,
    /// A token, from which a session was opened.
    Token,
    /// A password and a one-time code.
    Totp,
    /// A password and a recovery code.
    RecoveryCode,
    /// A passkey whose holder was verified.
    Passkey,
    /// A log-in at a provider that an administrator trusts.
    Federated,
    /// The same, where the provider says that it cannot be phished and an administrator trusts it with that.
    FederatedPhishingResistant,
    /// A log-in of a command line that a person agreed to in a browser.
    Device,
}

impl Method {
    const ALL: [Self; 8] = [
        Self::Password,
        Self::Token,
        Self::Totp,
        Self::RecoveryCode,
        Self::Passkey,
        Self::Federated,
        Self::FederatedPhishingResistant,
        Self::Device,
    ];

    /// The word for records, pages and the session table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::Passkey => "passkey",
            Self::Federated => "federated",
            Self::FederatedPhishingResistant => "federated_phishing_resistant",
            Self::Device => "device",
        }
    }

    /// The method of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.word() == word)
    }

    /// Whether a page that pretends to be ours cannot pass it on.
    #[must_use]
    pub const fn is_phishing_resistant(self) -> bool {
        matches!(self, Self::Passkey | Self::FederatedPhishingResistant)
    }
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
    /// Authenticator assurance level (NIST SP 800-63B): 0 for anonymous, 1 for a password or token, 2 for two factors, 3 for a
    /// passkey on a device whose key is held in attested hardware.
    pub assurance: u8,
    /// When and how a person last showed who they are; none for a caller who came with a token, and for programs.
    pub proof: Option<Proof>,
    /// The one errand that the credential was made for; none for a credential of the caller's own.
    pub pass: Option<Pass>,
    /// The caller's own device that the request came from; none where none was shown, or another's, or one that does not count.
    pub device: Option<Device>,
    /// 0 to 100: how unusual the log-in was behind this credential, as far as what was shown does not outweigh it.
    pub log_in_risk: u8,
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
            proof: None,
            pass: None,
            device: None,
            log_in_risk: 0,
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
            proof: None,
            pass: None,
            device: None,
            log_in_risk: 0,
        }
    }
}
