//! How mail leaves: by SMTP inside TLS, and in no other way.
//!
//! INVARIANT: before the server's certificate was verified neither an address nor a password is said. A server that offers no STARTTLS, or
//! something on the way that hides it, gets nothing. Held by `tests/clients/test_mail.py`.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::BoxFuture;
use kernel::{Problem, Secret};
use lettre::address::Envelope;
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters, TlsVersion};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::limits::{FAULT_BYTES_MAX, SEND_S_MAX};
use crate::notice::one_line;
use crate::{Address, MailConfig, MailTls};

/// Where Debian and most others keep the authorities that a system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What one answer of the server may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(15);

/// Takes a mail on its way.
pub trait Carry: Send + Sync + 'static {
    /// Hands over these bytes for one recipient. Says on failure what went wrong, without secrets.
    ///
    /// # Errors
    /// `Unavailable`, with the reason; it may have been taken all the same if the answer was lost.
    fn carry<'a>(&'a self, to: &'a Address, mail: &'a [u8]) -> BoxFuture<'a, Result<(), Problem>>;
}

/// The server of the configuration.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    /// What no message may repeat: the password, and what it looks like on the wire.
    secrets: Vec<Secret>,
}

impl Smtp {
    /// Reads the files that the configuration names. Connects to nothing yet.
    ///
    /// # Errors
    /// `Invalid`, naming the file.
    pub(crate) fn open(config: &MailConfig, server: &str, from: &Address) -> Result<Self, Problem> {
        let parameters = parameters(server, config.ca.as_deref())?;
        let (tls, usual_port) = match config.tls {
            MailTls::Implicit => (Tls::Wrapper(parameters), 465),
            MailTls::Starttls => (Tls::Required(parameters), 587),
        };
        let unusable = |error: lettre::transport::smtp::Error| Problem::invalid(format!("`mail.server` cannot be used: {error}"));
        let builder: AsyncSmtpTransportBuilder = AsyncSmtpTransport::<Tokio1Executor>::relay(server).map_err(unusable)?;
        let mut builder = builder.tls(tls).port(config.port.unwrap_or(usual_port)).timeout(Some(ANSWER_WAIT_MAX));
        let mut secrets = Vec::new();
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            let password = password(file)?;
            let text = password.expose_text().unwrap_or_default();
            secrets.push(Secret::from(STANDARD.encode(text)));
            secrets.push(Secret::from(STANDARD.encode(format!("\0{user}\0{text}"))));
            builder = builder
                .credentials(Credentials::new(user.clone(), text.to_owned()))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
            secrets.push(password);
        }
        Ok(Self { transport: builder.build(), from: from.clone(), secrets })
    }

    fn fault(&self, error: &lettre::transport::smtp::Error) -> Problem {
        let mut words = error.to_string();
        // The nearest cause alone often says `network error`; what lies behind it says why.
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let more = cause.to_string();
            if !words.contains(&more) {
                words = format!("{words}: {more}");
            }
            source = cause.source();
        }
        for secret in self.secrets.iter().filter_map(Secret::expose_text).filter(|secret| !secret.is_empty()) {
            words = words.replace(secret, "…");
        }
        let said = if error.is_tls() { "the server's TLS cannot be trusted: " } else { "" };
        Problem::unavailable(one_line(&format!("{said}{words}"), FAULT_BYTES_MAX))
    }
}

impl Carry for Smtp {
    fn carry<'a>(&'a self, to: &'a Address, mail: &'a [u8]) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let envelope = Envelope::new(Some(self.from.parsed().clone()), vec![to.parsed().clone()]);
            let envelope = envelope.map_err(|error| Problem::internal("a mail has no envelope", error))?;
            let sending = self.transport.send_raw(&envelope, mail);
            let sent = tokio::time::timeout(Duration::from_secs(SEND_S_MAX), sending).await;
            let sent = sent.map_err(|_| Problem::unavailable(format!("the server did not take it within {SEND_S_MAX} s")))?;
            sent.map(drop).map_err(|error| self.fault(&error))
        })
    }
}

fn parameters(server: &str, ca: Option<&Path>) -> Result<TlsParameters, Problem> {
    let file = ca.unwrap_or_else(|| Path::new(SYSTEM_AUTHORITIES));
    let shown = file.display();
    let pem = std::fs::read(file)
        .map_err(|error| Problem::invalid(format!("the authorities of mail, `{shown}`, cannot be read: {error}")))?;
    let wrong = || Problem::invalid(format!("the authorities of mail, `{shown}`, are no certificates (PEM)"));
    let authority = Certificate::from_pem(&pem).map_err(|_| wrong())?;
    TlsParameters::builder(server.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authority)
        .set_min_tls_version(TlsVersion::Tlsv12)
        .build_rustls()
        .map_err(|error| wrong().because(error))
}

fn password(file: &Path) -> Result<Secret, Problem> {
    let text = std::fs::read_to_string(file);
    let text =
        text.map_err(|error| Problem::invalid(format!("`mail.password_file` `{}` cannot be read: {error}", file.display())))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Problem::invalid(format!("`mail.password_file` `{}` is empty", file.display())));
    }
    Ok(Secret::from(text.to_owned()))
}
