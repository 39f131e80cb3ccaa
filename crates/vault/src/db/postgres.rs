//! PostgreSQL: a pool of connections, each with its thread.

pub(super) mod copy;
pub(super) mod fresh;
mod recent;
mod session;
mod tools;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ::postgres::config::{Host, SslMode};
use ::postgres::{Client, Config, NoTls};
use crossbeam_channel::{Receiver, Sender, bounded};
use kernel::{Problem, Secret};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::oneshot;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::session::{Connection, Keeping, Unit};
pub(super) use self::session::{PgSession, for_each, query_one};
use super::{
    Bind, DbError, Opening, OutboxRow, OutboxSink, Placed, Reader, Sealed, Session, Writer, Written, check_steps, migrations,
};

/// Connections, each with its thread.
const CONNECTION_COUNT: usize = 8;
/// Units of work that may wait for a connection.
const QUEUE_COUNT_MAX: usize = 4_096;
/// How often a unit is begun again after the connection was found lost before it ran.
const CONNECT_RETRY_COUNT_MAX: usize = 2;
/// The advisory lock under which the schema is changed.
const MIGRATION_LOCK: i64 = 0x5374_726f_6e67;

type Job = Box<dyn FnOnce(Result<&mut Connection, Problem>) + Send>;

/// The pool.
pub(super) struct PostgresPool {
    address: Arc<Address>,
    jobs: Sender<Job>,
    sink: Arc<OnceLock<OutboxSink>>,
}

impl PostgresPool {
    pub(super) fn open(url: &Secret, ca: Option<&Path>, opening: Opening) -> Result<Self, DbError> {
        let mut address = Address::parse(url, ca)?;
        if opening == Opening::ReadOnly {
            address.allow_reads_only();
        }
        let address = Arc::new(address);
        let first = connect_first(Arc::clone(&address), opening)?;
        let (jobs, queue) = bounded::<Job>(QUEUE_COUNT_MAX);
        let keeping = Keeping::new(true.into());
        let mut connections = vec![Some(Connection::new(first, Arc::clone(&keeping)))];
        connections.resize_with(CONNECTION_COUNT, || None);
        for connection in connections {
            let queue = queue.clone();
            let own = Arc::clone(&address);
            let keeping = Arc::clone(&keeping);
            std::thread::Builder::new()
                .name("db-postgres".to_owned())
                .spawn(move || connection_loop(connection, &own, &keeping, &queue))
                .map_err(DbError::io)?;
        }
        Ok(Self { address, jobs, sink: Arc::new(OnceLock::new()) })
    }

    pub(super) fn set_sink(&self, sink: OutboxSink) {
        if self.sink.set(sink).is_err() {
            tracing::warn!("the outbox sink was set twice; the first one stays");
        }
    }

    pub(super) fn submit_write<T, F>(
        &self,
        lock: i64,
        work: F,
        answer: oneshot::Sender<Result<T, Problem>>,
    ) -> Result<(), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer<'_>) -> Written<T> + Send + 'static,
    {
        let sink = Arc::clone(&self.sink);
        self.submit(Box::new(move |connection| {
            let result = connection.and_then(|connection| in_write(connection, lock, work)).map(|(value, placed)| {
                if let Some((row, commitment)) = placed {
                    commitment.committed();
                    if let Some(sink) = sink.get() {
                        sink(row);
                    }
                }
                value
            });
            drop(answer.send(result));
        }))
    }

    pub(super) fn submit_read<T, F>(&self, work: F, answer: oneshot::Sender<Result<T, Problem>>) -> Result<(), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.submit(Box::new(move |connection| {
            drop(answer.send(connection.and_then(|connection| in_read(connection, work))));
        }))
    }

    fn submit(&self, job: Job) -> Result<(), Problem> {
        let full = || Problem::unavailable(format!("{QUEUE_COUNT_MAX} database requests are waiting already"));
        self.jobs.try_send(job).map_err(|_| full())
    }
}

/// Where the database is, and how to speak to it unheard.
pub(super) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    ca: Option<PathBuf>,
}

impl Address {
    fn parse(url: &Secret, ca: Option<&Path>) -> Result<Self, DbError> {
        let text = url.expose_text().ok_or_else(|| DbError::Version("the PostgreSQL address is not UTF-8".to_owned()))?;
        // The parser's own error could repeat the password.
        let mut config: Config =
            text.parse().map_err(|_| DbError::Version("the PostgreSQL address cannot be read".to_owned()))?;
        let tls = ca.map(tls_of).transpose()?;
        if tls.is_some() {
            // Whatever the address says: otherwise the other side, or somebody in between, could choose to speak in the clear.
            config.ssl_mode(SslMode::Require);
        }
        // With `hostaddr`, `host` is only the name in the certificate.
        let is_near = config.get_hosts().iter().all(is_on_this_machine) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        if tls.is_none() && !is_near {
            let message = "`vault.database` is on another machine; name the authority of its certificate in `vault.database_ca`";
            return Err(DbError::Version(message.to_owned()));
        }
        Ok(Self { config, tls, ca: ca.map(Path::to_path_buf) })
    }

    /// Has the database refuse every change.
    fn allow_reads_only(&mut self) {
        let given = self.config.get_options().unwrap_or_default();
        let options = format!("{given} -c default_transaction_read_only=on");
        self.config.options(options.trim_start());
    }

    fn connect(&self) -> Result<Client, DbError> {
        let mut client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone())?,
            None => self.config.connect(NoTls)?,
        };
        // Compiling a statement takes tens of milliseconds, and none here runs long enough to win them back: walks of a graph are
        // estimated far too dear, and were compiled each time.
        client.batch_execute("SET jit = off")?;
        Ok(client)
    }
}

fn tls_of(ca: &Path) -> Result<MakeRustlsConnect, DbError> {
    let bad = |error: String| DbError::Version(format!("`vault.database_ca` = `{}`: {error}", ca.display()));
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| bad(e.to_string()))? {
        roots.add(certificate.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(client))
}

fn is_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// The client blocks on a runtime of its own, which it may not do on a thread that already drives one.
fn connect_first(address: Arc<Address>, opening: Opening) -> Result<Client, DbError> {
    let connecting = std::thread::spawn(move || {
        let mut client = address.connect()?;
        check_steps(steps_of(&mut client)?.as_deref(), opening)?;
        if opening != Opening::ReadOnly {
            migrate(&mut client, None)?;
        }
        Ok(client)
    });
    connecting.join().unwrap_or_else(|_| Err(DbError::Version("connecting to PostgreSQL broke off".to_owned())))
}

fn connection_loop(mut connection: Option<Connection>, address: &Address, keeping: &Keeping, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        for _ in 0..CONNECT_RETRY_COUNT_MAX {
            if connection.as_ref().is_none_or(Connection::is_closed) {
                let fresh = address.connect().map_err(|error| tracing::warn!(%error, "cannot connect to PostgreSQL")).ok();
                connection = fresh.map(|client| Connection::new(client, Arc::clone(keeping)));
            }
        }
        match connection.as_mut() {
            Some(connection) => job(Ok(connection)),
            None => job(Err(Problem::unavailable("PostgreSQL cannot be reached; nothing was changed"))),
        }
    }
}

/// The steps of the schema that the database has; none if nothing of ours is in it.
fn steps_of(client: &mut Client) -> Result<Option<Vec<String>>, DbError> {
    if client.query_opt("SELECT 1 WHERE to_regclass('schema_step') IS NOT NULL", &[])?.is_none() {
        return Ok(None);
    }
    let rows = client.query("SELECT name FROM schema_step", &[])?;
    Ok(Some(rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?))
}

/// Brings the schema up to date, or to these steps alone.
fn migrate(client: &mut Client, steps: Option<&[String]>) -> Result<(), DbError> {
    let mut tx = client.transaction()?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])?;
    tx.batch_execute("CREATE TABLE IF NOT EXISTS schema_step (name TEXT NOT NULL PRIMARY KEY)")?;
    for step in migrations::ALL.iter().filter(|step| steps.is_none_or(|steps| steps.iter().any(|name| name == step.name))) {
        if tx.query_opt("SELECT 1 FROM schema_step WHERE name = $1", &[&step.name])?.is_none() {
            tx.batch_execute(step.postgres)?;
            tx.execute("INSERT INTO schema_step (name) VALUES ($1)", &[&step.name])?;
        }
    }
    tx.commit()?;
    Ok(())
}

fn in_write<T>(
    connection: &mut Connection,
    lock: i64,
    work: impl FnOnce(&mut Writer<'_>) -> Written<T>,
) -> Result<Placed<T>, Problem> {
    let mut unit = connection.begin_write()?;
    if lock != 0 {
        unit.rows("SELECT pg_advisory_xact_lock($1)", &[lock.into()])?;
    }
    let (value, outcome) = work(&mut Writer::new(Session::Postgres(&mut unit)))?;
    let place = |sealed: Sealed| Ok::<_, DbError>((put_outbox(&mut unit, sealed.row)?, sealed.commitment));
    let placed = outcome.map(place).transpose()?;
    unit.commit()?;
    Ok((value, placed))
}

fn in_read<T>(connection: &mut Connection, work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let mut unit = connection.begin_read()?;
    let value = work(&mut Reader(Session::Postgres(&mut unit)))?;
    unit.commit()?;
    Ok(value)
}

fn put_outbox(unit: &mut Unit<'_>, sealed: gate::SealedOutcome) -> Result<OutboxRow, DbError> {
    let sql = "INSERT INTO audit_outbox (event_id, payload) VALUES ($1, $2) RETURNING id";
    let binds = [Bind::from(&sealed.event_id), Bind::from(&sealed.bytes)];
    let id = query_one(unit, sql, &binds, |row| row.int(0))?.ok_or(DbError::Shape(0))?;
    Ok(OutboxRow { id, event_id: sealed.event_id, payload: sealed.bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> Option<String> {
        Address::parse(&Secret::from(url.to_owned()), None).err().map(|error| error.to_string())
    }

    #[test]
    fn a_database_elsewhere_is_spoken_to_over_tls_only() {
        assert!(refusal("postgres://u:hunter2@db.example/x").is_some_and(|text| text.contains("database_ca")));
        for near in ["postgres://u@127.0.0.1/x", "postgres://u@localhost/x", "postgres:///x?host=/run/postgresql"] {
            assert_eq!(refusal(near), None, "{near}");
        }
    }

    #[test]
    fn an_address_by_number_is_looked_at_too() {
        assert!(refusal("postgres://u@localhost/x?hostaddr=192.0.2.7").is_some_and(|text| text.contains("database_ca")));
        assert!(refusal("hostaddr=192.0.2.7 user=u").is_some_and(|text| text.contains("database_ca")));
        assert_eq!(refusal("postgres://u@localhost/x?hostaddr=127.0.0.1"), None);
    }

    /// An authority made for this test; its key is thrown away.
    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUB4f1aE6kG3tJoXpjSvl3enteAuAwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMwNzA0MDhaGA8yMTI2MTAzMDA3MDQw
OFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEE0
eCyVd5TmfHgqf7iehUhaIRrSIi2etAmaTJxX/7PeY3X7/dZAK/YsMXV5P0ac02mh
i5lVfDgKELjfDsoeGe+jUzBRMB0GA1UdDgQWBBSmrJo+m+F7+jgegbMnK5on2lq8
JTAfBgNVHSMEGDAWgBSmrJo+m+F7+jgegbMnK5on2lq8JTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCICXXCaK95XA99AE6QDUCLABsQW8RTQFWrIon
+9CKXTdiAiA8rnPoq3gsiE/MVNhMp/bPyOpWweMFaDTflCFT14b2EQ==
-----END CERTIFICATE-----
";

    /// Whoever sits in between answers "no TLS here". Nothing but the question may have been sent.
    #[test]
    fn tls_cannot_be_talked_away() {
        use std::io::{Read, Write};
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, AUTHORITY).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let between = std::thread::spawn(move || {
            let mut heard = Vec::new();
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = [0; 8];
                // With TLS turned off there would be no question, but a greeting with the user's name.
                stream.read_exact(&mut question).unwrap();
                stream.write_all(b"N").unwrap();
                heard.extend(question);
                stream.read_to_end(&mut heard).unwrap();
            }
            heard
        });
        for mode in ["", "?sslmode=prefer", "?sslmode=disable"] {
            let url = Secret::from(format!("postgres://u:hunter2@localhost:{port}/x{mode}"));
            assert!(Address::parse(&url, Some(&ca)).unwrap().connect().is_err(), "{mode}");
        }
        let heard = between.join().unwrap();
        assert_eq!(heard.len(), 24, "three questions for TLS and nothing else");
    }

    #[test]
    fn a_password_is_not_repeated_in_errors() {
        let text = refusal("postgres://u:hunter2@db.example:port/x");
        assert!(text.is_some_and(|text| !text.contains("hunter2")));
    }
}
