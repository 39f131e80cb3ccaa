//! How mail leaves: by SMTP inside TLS, and in no other way.
//!
//! INVARIANT: before the server's certificate was verified neither an address nor a password is said. A server that offers no STARTTLS, or
//! something on the way that hides it, gets nothing. Held by `tests/clients/test_mail.py`.
//! INVARIANT: only who has that certificate can say that a mail was taken. Held by `starttls`.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::BoxFuture;
use kernel::{Problem, Secret};
use lettre::address::Envelope;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsVersion};
use lettre::transport::smtp::extension::ClientId;

use crate::limits::{FAULT_BYTES_MAX, SEND_S_MAX};
use crate::notice::one_line;
use crate::starttls::InTheOpen;
use crate::{Address, MailConfig, MailTls};

/// Where Debian and most others keep the authorities that a system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How long the server may take until it is there.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(15);
/// How long the server may take to say goodbye.
const GOODBYE_WAIT_MAX: Duration = Duration::from_secs(5);
/// How we say who we are, where we do.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

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
    server: String,
    port: u16,
    tls: MailTls,
    parameters: TlsParameters,
    log_in: Option<Credentials>,
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
        let usual_port = match config.tls {
            MailTls::Implicit => 465,
            MailTls::Starttls => 587,
        };
        let (mut log_in, mut secrets) = (None, Vec::new());
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            let password = password(file)?;
            let text = password.expose_text().unwrap_or_default();
            secrets.push(Secret::from(STANDARD.encode(text)));
            secrets.push(Secret::from(STANDARD.encode(format!("\0{user}\0{text}"))));
            log_in = Some(Credentials::new(user.clone(), text.to_owned()));
            secrets.push(password);
        }
        let port = config.port.unwrap_or(usual_port);
        Ok(Self { server: server.to_owned(), port, tls: config.tls, parameters, log_in, from: from.clone(), secrets })
    }

    /// Gives the connection, once the server has said that it took the mail.
    async fn hand_over(&self, envelope: &Envelope, mail: &[u8]) -> Result<AsyncSmtpConnection, Problem> {
        let mut connection = self.connected().await?;
        if let Some(log_in) = &self.log_in {
            connection.auth(&MECHANISMS, log_in).await.map_err(|error| self.fault(&error))?;
        }
        connection.send(envelope, mail).await.map_err(|error| self.fault(&error))?;
        Ok(connection)
    }

    /// A connection inside TLS.
    async fn connected(&self) -> Result<AsyncSmtpConnection, Problem> {
        let (server, port, hello) = (self.server.as_str(), self.port, ClientId::default());
        let parameters = self.parameters.clone();
        match self.tls {
            MailTls::Implicit => {
                let wait_max = Some(CONNECT_WAIT_MAX);
                let connecting = AsyncSmtpConnection::connect_tokio1((server, port), wait_max, &hello, Some(parameters), None);
                connecting.await.map_err(|error| self.fault(&error))
            }
            MailTls::Starttls => {
                let stream = InTheOpen::connect(server, port, CONNECT_WAIT_MAX).await;
                let stream = stream.map_err(|error| {
                    Problem::unavailable(one_line(&format!("the server cannot be reached: {error}"), FAULT_BYTES_MAX))
                })?;
                let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello);
                let mut connection = connecting.await.map_err(|error| self.fault(&error))?;
                connection.starttls(parameters, &hello).await.map_err(|error| self.fault(&error))?;
                Ok(connection)
            }
        }
    }

    fn fault(&self, error: &SmtpError) -> Problem {
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
            let sent = tokio::time::timeout(Duration::from_secs(SEND_S_MAX), self.hand_over(&envelope, mail)).await;
            let late = |_| Problem::unavailable(format!("the server did not take it within {SEND_S_MAX} s"));
            let mut connection = sent.map_err(late)??;
            // It was taken, whatever the server says when we go, and if it says nothing.
            drop(tokio::time::timeout(GOODBYE_WAIT_MAX, connection.abort()).await);
            Ok(())
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
