//! Providers and platforms that vouch for others: the configuration's issuers, asked over TLS, and the job that settles accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use console::{Leaving, Providers};
use federation::{
    Carried, FederationConfig, Fetch, LoggedOut, Provider, ProviderConfig, SignalEvent, SubjectId, TOKEN_BYTES_MAX,
    TransmitterConfig, Untaken, WorkloadRule, mapped_groups, service_of,
};
use gate::{Attempt, BoxFuture, Caller, Gate, JobPass, Returned, Statement, StatementKind};
use http::{Method, Request, header};
use identity::ops::federation::SettlePerson;
use identity::ops::statements::{About, Event, SESSIONS_LOGGED_OUT, SIGNALS_RECEIVE, STATEMENT_AGE_S_MAX, Told};
use identity::{Federate, Identity, ShownThere, Vouched};
use kernel::{Clock, Kind, Micros, Problem, Secret};
use mail::Mail;

use crate::https::Remote;

/// The job that settles accounts.
pub const JOB: &str = "federation";
/// Where Debian and most others keep the authorities that a system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What a provider calls a session.
const SESSION_BYTES_MAX: usize = 512;
/// Documents of issuers are shorter.
const ANSWER_BYTES_MAX: usize = 512 * 1024;
const ANSWER_SECONDS_MAX: u64 = 10;

/// All issuers that the configuration names.
pub struct Federation {
    people: BTreeMap<String, Company>,
    programs: Vec<(Arc<Provider>, WorkloadRule)>,
    transmitters: Vec<(Provider, TransmitterConfig)>,
    identity: Identity,
    gate: Gate,
    pass: JobPass,
    clock: Arc<dyn Clock>,
    mail: Mail,
}

/// A provider, what is said of it, and who we are there.
type Company = (Arc<Provider>, ProviderConfig, (String, Option<Secret>));

/// Asks issuers, whose certificates these authorities vouch for.
struct Over {
    ca: PathBuf,
}

impl Over {
    async fn ask(&self, request: http::request::Builder, url: &str, body: Bytes) -> Result<(u16, Vec<u8>), Problem> {
        let at = url
            .find("//")
            .and_then(|at| url.get(at + 2..))
            .and_then(|rest| rest.find('/').map(|slash| url.len() - rest.len() + slash));
        let (host, path) = at.and_then(|at| url.split_at_checked(at)).unwrap_or((url, "/"));
        let remote = Remote::new(host, &self.ca)?;
        let asking = remote.send(request, path, body, ANSWER_BYTES_MAX);
        let late = |_| Problem::unavailable(format!("`{host}` did not answer within {ANSWER_SECONDS_MAX} s"));
        let answer = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), asking).await.map_err(late)??;
        Ok((answer.status.as_u16(), answer.body.to_vec()))
    }
}

impl Fetch for Over {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move {
            let request = Request::builder().method(Method::GET).header(header::ACCEPT, "application/json");
            match self.ask(request, url, Bytes::new()).await? {
                (200, body) => Ok(body),
                (status, _) => Err(Problem::unavailable(format!("`{url}` answered {status}"))),
            }
        })
    }

    fn post<'a>(
        &'a self,
        url: &'a str,
        form: &'a Secret,
        client: Option<&'a (String, Secret)>,
    ) -> BoxFuture<'a, Result<(u16, Vec<u8>), Problem>> {
        Box::pin(async move {
            let mut request = Request::builder()
                .method(Method::POST)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ACCEPT, "application/json");
            if let Some((id, secret)) = client {
                request = request.header(header::AUTHORIZATION, basic(id, secret));
            }
            self.ask(request, url, Bytes::copy_from_slice(form.expose())).await
        })
    }
}

/// Both are form-encoded before they are joined (RFC 6749, section 2.3.1): else a secret with `%`, `+` or `:` in it would be another one.
fn basic(id: &str, secret: &Secret) -> String {
    let mut pair = String::new();
    form_encoded(id.as_bytes(), &mut pair);
    pair.push(':');
    form_encoded(secret.expose(), &mut pair);
    format!("Basic {}", STANDARD.encode(pair))
}

fn form_encoded(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => to.push(char::from(*byte)),
            b' ' => to.push('+'),
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
}

impl Federation {
    /// What the configuration names; none if it names nothing.
    ///
    /// # Errors
    /// `Invalid` for a secret's file that cannot be read.
    pub fn open(
        config: &FederationConfig,
        (identity, mail): (&Identity, &Mail),
        gate: &Gate,
        pass: JobPass,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<Self>>, Problem> {
        if config.providers.is_empty() && config.workloads.is_empty() && config.transmitters.is_empty() {
            return Ok(None);
        }
        let over = |ca: Option<&PathBuf>| -> Arc<dyn Fetch> {
            Arc::new(Over { ca: ca.cloned().unwrap_or_else(|| PathBuf::from(SYSTEM_AUTHORITIES)) })
        };
        let mut people = BTreeMap::new();
        for (name, provider) in &config.providers {
            let secret = provider.client_secret_file.as_deref().map(read_secret).transpose()?;
            let asked = Provider::new(&provider.issuer, None, &provider.also_at, over(provider.ca.as_ref()));
            people.insert(name.clone(), (Arc::new(asked), provider.clone(), (provider.client_id.clone(), secret)));
        }
        let mut programs: Vec<(Arc<Provider>, WorkloadRule)> = Vec::new();
        for rule in &config.workloads {
            // Rules of one issuer share its keys.
            let same = |(_, known): &&(Arc<Provider>, WorkloadRule)| {
                (&known.issuer, &known.jwks_uri, &known.ca) == (&rule.issuer, &rule.jwks_uri, &rule.ca)
            };
            let asked = programs.iter().find(same).map(|(asked, _)| Arc::clone(asked));
            let asked = asked
                .unwrap_or_else(|| Arc::new(Provider::new(&rule.issuer, rule.jwks_uri.as_deref(), &[], over(rule.ca.as_ref()))));
            programs.push((asked, rule.clone()));
        }
        let transmitters = config.transmitters.values().map(|transmitter| {
            let asked = Provider::new(&transmitter.issuer, Some(&transmitter.jwks_uri), &[], over(transmitter.ca.as_ref()));
            (asked, transmitter.clone())
        });
        let transmitters = transmitters.collect();
        let (identity, gate, mail) = (identity.clone(), gate.clone(), mail.clone());
        Ok(Some(Arc::new(Self { people, programs, transmitters, identity, gate, pass, clock, mail })))
    }

    async fn settle(&self, returned: &Returned) -> Result<Vouched, Problem> {
        let wrong = || {
            Problem::new(
                Kind::Unauthenticated,
                "You are not authenticated. The log-in at the provider was not completed; begin again.",
            )
        };
        let carried = returned.carried.as_ref().and_then(Secret::expose_text).and_then(Carried::of_text).ok_or_else(wrong)?;
        let (provider, config, client) = self.people.get(&carried.provider).ok_or_else(wrong)?;
        let at = self.clock.now();
        let claims = provider.end(returned, &carried, client, at).await?;
        let subject = claims.text("sub").ok_or_else(wrong)?;
        let mapped = mapped_groups(config, &claims);
        let is_verified = claims.at("email_verified").and_then(serde_json::Value::as_bool) == Some(true);
        let address = claims.text("email").filter(|_| is_verified);
        let settle = SettlePerson {
            room: self.identity.clone(),
            issuer: config.issuer.clone(),
            subject: subject.to_owned(),
            name: claims.text(&config.name_claim).filter(|_| config.provision).map(str::to_owned),
            address: address.map(str::to_owned),
            ruled: mapped.ruled,
            member: mapped.member,
        };
        let settled = self.gate.call(Attempt::of_job(self.pass.clone()), settle).await;
        let principal_id = settled.map_err(|problem| match problem.kind() {
            Kind::Unavailable | Kind::TooMany => problem,
            // Which names are taken here is nobody's business who only has an account there.
            _ => wrong().because(problem),
        })?;
        if let Some(address) = address
            && let Err(problem) = self.mail.learn_address(&principal_id, address, at).await
        {
            tracing::warn!(%problem, principal.id = principal_id, "the address that a provider vouched for could not be noted");
        }
        let shown = shown_there(config, claims.text("acr"));
        let then = claims.seconds("auth_time").map_or(at, |seconds| Micros(seconds.saturating_mul(1_000_000)));
        let session = claims.text("sid").filter(|sid| sid.len() <= SESSION_BYTES_MAX).map(str::to_owned);
        Ok(Vouched { principal_id, shown, at: then, issuer: config.issuer.clone(), session })
    }

    /// Whoever takes note of a statement: this job, for the one errand that the statement is.
    async fn hear(&self, statement: &Statement) -> Result<Caller, Problem> {
        let untaken = |why: Untaken| {
            let message = "You are not authenticated. No issuer that is trusted here signed this for us.";
            Problem::new(Kind::Unauthenticated, message).because(why)
        };
        let text = statement.token.expose_text().filter(|text| text.len() <= TOKEN_BYTES_MAX);
        let text = text.ok_or_else(|| untaken(Untaken::InvalidRequest))?;
        let (action, told) = match statement.kind {
            StatementKind::Logout => (SESSIONS_LOGGED_OUT, self.logout(text).await?),
            StatementKind::Event => (SIGNALS_RECEIVE, self.signal(text).await?),
        };
        let pass = told.map_err(untaken)?.pass(action)?;
        Ok(Caller { pass: Some(pass), ..Caller::job(&self.pass) })
    }

    async fn logout(&self, token: &str) -> Result<Result<Told, Untaken>, Problem> {
        let mut why = Untaken::InvalidIssuer;
        for (provider, config, _) in self.people.values() {
            match provider.logged_out(token, &config.client_id, self.clock.now()).await? {
                Ok(LoggedOut { id, subject, session }) => {
                    let issuer = config.issuer.clone();
                    let about = subject.map_or(About::Unknown, |subject| About::Person { issuer: issuer.clone(), subject });
                    return Ok(Ok(Told { issuer, id, about, session, events: Vec::new() }));
                }
                Err(Untaken::InvalidIssuer) => {}
                Err(other) => why = other,
            }
        }
        Ok(Err(why))
    }

    async fn signal(&self, token: &str) -> Result<Result<Told, Untaken>, Problem> {
        let mut why = Untaken::InvalidIssuer;
        for (transmitter, config) in &self.transmitters {
            let algorithms: Vec<_> = config.algorithms.iter().filter_map(|name| federation::algorithm(name)).collect();
            let when = (self.clock.now(), STATEMENT_AGE_S_MAX);
            match transmitter.signal(token, &config.audience, &algorithms, when).await? {
                Ok(signal) => {
                    let about = match signal.subject {
                        // Only of its own people: nobody speaks for another issuer's.
                        SubjectId::IssuerSubject { issuer, subject } if issuer == config.issuer => {
                            About::Person { issuer, subject }
                        }
                        SubjectId::Opaque(id) => About::Account(id),
                        SubjectId::Email(address) => About::Address(address),
                        SubjectId::IssuerSubject { .. } | SubjectId::Unknown => About::Unknown,
                    };
                    let events = signal.events.into_iter().map(event).collect();
                    return Ok(Ok(Told { issuer: config.issuer.clone(), id: signal.id, about, session: None, events }));
                }
                Err(Untaken::InvalidIssuer) => {}
                Err(other) => why = other,
            }
        }
        Ok(Err(why))
    }

    async fn recognise(&self, token: &Secret) -> Result<Option<String>, Problem> {
        let Some(text) = token.expose_text().filter(|text| text.len() <= TOKEN_BYTES_MAX) else { return Ok(None) };
        let at = self.clock.now();
        let mut down = None;
        for (provider, rule) in &self.programs {
            match provider.verify(text, &rule.audience, at).await {
                Ok(Some(claims)) => {
                    if let Some(service) = service_of([rule], &claims) {
                        return Ok(Some(service.to_owned()));
                    }
                }
                Ok(None) => {}
                Err(problem) => down = Some(problem),
            }
        }
        down.map_or(Ok(None), Err)
    }
}

/// What a provider's `acr` stands for: what an operator wrote, and no more.
fn shown_there(config: &ProviderConfig, acr: Option<&str>) -> ShownThere {
    let is_one_of = |known: &[String]| acr.is_some_and(|acr| known.iter().any(|one| one == acr));
    if is_one_of(&config.phishing_resistant_acr) {
        ShownThere::PhishingResistant
    } else if is_one_of(&config.second_factor_acr) {
        ShownThere::SecondFactor
    } else {
        ShownThere::Any
    }
}

const fn event(of: SignalEvent) -> Event {
    match of {
        SignalEvent::SessionRevoked => Event::SessionRevoked,
        SignalEvent::CredentialChange => Event::CredentialChange,
        SignalEvent::Device { compliant } => Event::Device { compliant },
        SignalEvent::Risk(level) => Event::Risk(level),
        SignalEvent::AccountDisabled => Event::AccountDisabled,
        SignalEvent::Other => Event::Other,
    }
}

impl Federate for Federation {
    fn statement<'a>(&'a self, statement: &'a Statement) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(self.hear(statement))
    }

    fn person<'a>(&'a self, returned: &'a Returned) -> BoxFuture<'a, Result<Vouched, Problem>> {
        Box::pin(self.settle(returned))
    }

    fn program<'a>(&'a self, token: &'a Secret) -> BoxFuture<'a, Result<Option<String>, Problem>> {
        Box::pin(self.recognise(token))
    }
}

impl Providers for Federation {
    fn names(&self) -> Vec<String> {
        self.people.keys().cloned().collect()
    }

    fn begin<'a>(&'a self, name: &'a str, leaving: &'a Leaving, at: Micros) -> BoxFuture<'a, Result<(String, Secret), Problem>> {
        Box::pin(async move {
            let found = self.people.get(name);
            let (provider, config, _) = found.ok_or_else(|| Problem::not_found("there is no such provider of log-ins"))?;
            let wanted = config.step_up_acr();
            let step_up = leaving.again.then_some(wanted.as_slice());
            let begun = provider.begin(name, &config.client_id, &leaving.redirect_uri, &leaving.to, step_up, at).await?;
            Ok((begun.url, begun.carried.to_text()))
        })
    }

    fn led_back(&self, carried: &str) -> Option<String> {
        Carried::of_text(carried).map(|carried| carried.to)
    }
}

fn read_secret(path: &Path) -> Result<Secret, Problem> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Problem::invalid(format!("`{}` cannot be read: {error}", path.display())))?;
    Ok(Secret::from(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_calls_itself_is_form_encoded() {
        let sent = basic("strong room", &Secret::from("a+b%c:d/é=".to_owned()));
        let plain = STANDARD.decode(sent.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(plain).unwrap(), "strong+room:a%2Bb%25c%3Ad%2F%C3%A9%3D");
        assert_eq!(
            basic("id", &Secret::from("plain-1_2.3*".to_owned())),
            format!("Basic {}", STANDARD.encode("id:plain-1_2.3*"))
        );
    }
}
