//! The command line. A command that acts on data is a request through the same routes that clients use; only `init`,
//! `serve`, `witness`, `config check` and the offline `audit verify`, `audit recover`, `backup restore`, `keys rotate-root` and
//! `keys change-passphrase` open files themselves.

mod access;
mod access_review;
mod agent;
mod audit;
mod backup;
mod backup_restore;
mod client;
mod data;
mod data_commit;
mod data_contract;
mod data_query;
mod data_read;
mod data_rows;
mod detections;
mod device;
mod elevate;
mod endpoint;
mod endpoint_guard;
mod forensics;
mod forensics_reach;
mod init;
mod keys;
mod keys_online;
mod lineage;
mod login;
mod loopback;
mod mail;
mod model;
mod model_files;
mod model_gate;
mod model_signers;
mod objects;
mod observe;
mod offline;
mod output;
mod people;
mod predictions;
mod recover;
mod retention;
mod retrain;
mod risk;
mod serve;
mod table;
mod transfer;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kernel::{Kind, Problem};

use crate::jailed::{INNER_OPTION, WORKER_COMMAND};

/// A secure MLOps server: a drop-in for the MLflow tracking server and model registry in which every access is
/// authenticated, authorised and recorded in a log that cannot be altered unseen.
#[derive(Parser)]
#[command(name = "strongroom", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:
  strongroom init --data ./data --admin-token-file ./admin.token
  strongroom serve --data ./data --listen 127.0.0.1:8443
  strongroom user create alice --data ./data --token-file ./admin.token
  strongroom grant create alice contributor --data ./data --token-file ./admin.token
  strongroom audit verify --data ./data

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused (not authenticated or not allowed), 4 not found, 5 try again later.";

#[derive(Subcommand)]
enum Verb {
    /// Make a new data folder: keys, certificates, the database, the log, a first administrator.
    Init(init::Init),
    /// Answer requests.
    Serve(serve::Serve),
    Login(login::Login),
    /// Work with people's accounts.
    #[command(subcommand)]
    User(people::User),
    /// Work with groups of accounts.
    #[command(subcommand)]
    Group(people::Group),
    /// Work with service accounts.
    #[command(subcommand)]
    Service(people::Service),
    /// Work with access tokens.
    #[command(subcommand)]
    Token(people::Token),
    /// Look at what is retained.
    #[command(subcommand)]
    Retention(retention::Retention),
    /// Look at how log-ins are judged.
    #[command(subcommand)]
    Risk(risk::RiskVerb),
    /// Work with the tables that say where addresses are.
    #[command(subcommand)]
    Geo(risk::Geo),
    /// Work with your own account.
    #[command(subcommand)]
    Account(people::Account),
    /// Work with your own browser sessions.
    #[command(subcommand)]
    Session(people::Session),
    /// Work with devices: see how far they are trusted, enrol, revoke, say what they must be like.
    #[command(subcommand)]
    Device(device::DeviceVerb),
    /// Run on a device of yours: enrol it, keep its certificate, report how it is.
    #[command(subcommand)]
    Agent(agent::AgentVerb),
    #[command(subcommand)]
    Mail(mail::MailVerb),
    /// Work with workspaces.
    #[command(subcommand)]
    Workspace(people::Workspace),
    /// Work with grants: who may do what, where.
    #[command(subcommand)]
    Grant(access::Grant),
    #[command(subcommand)]
    Elevate(elevate::Elevate),
    /// Show what each role may do.
    #[command(subcommand)]
    Role(access::Role),
    /// Find who may do more than they use, and how somebody could come to more.
    #[command(subcommand)]
    Access(access_review::Access),
    /// Search, prove, verify and export the log.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Look at what was found in the log: attacks, misuse, weakened safeguards.
    #[command(subcommand)]
    Detections(detections::Detections),
    /// Make, list, verify, try and restore backups.
    #[command(subcommand)]
    Backup(backup::BackupVerb),
    /// Work with keys: new ones for a workspace, a new root key.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Check the stored bytes.
    #[command(subcommand)]
    Objects(objects::Objects),
    /// Work with data sets: commit, inspect, decide, read.
    #[command(subcommand)]
    Data(data::Data),
    /// Work with versions of registered models: inspect, decide, promote.
    #[command(subcommand)]
    Model(model::Model),
    /// Work with jobs that train models again: list, look, stop.
    #[command(subcommand)]
    Retrain(retrain::Retraining),
    /// Let admitted models answer.
    #[command(subcommand)]
    Endpoint(endpoint::EndpointVerb),
    /// Look into what endpoints were asked and said: list, query, prove, erase.
    #[command(subcommand)]
    Predictions(predictions::PredictionsVerb),
    /// From a prediction back to its model, code, data and people; or from any of those on to predictions.
    Trace(predictions::Trace),
    /// Work with alerts: what is wrong, since when, why, and what can be done.
    #[command(subcommand)]
    Alerts(observe::Alerts),
    /// Work with remedies of alerts.
    #[command(subcommand)]
    Remedy(observe::RemedyVerb),
    /// Work with true outcomes of predictions.
    #[command(subcommand)]
    Label(observe::LabelVerb),
    /// Show how endpoints, data and the server are, and why.
    Health(data::Plain),
    /// Watch from outside: rules for Prometheus.
    #[command(subcommand)]
    Observe(observe::ObserveVerb),
    /// Check a model's evidence file without a server, with keys that you trust.
    VerifyBundle(offline::VerifyBundle),
    /// Scan model files without a server: what would loading them do?
    Scan(offline::Scan),
    /// Show where a model comes from.
    #[command(subcommand)]
    Lineage(lineage::Lineage),
    /// Cosign the checkpoints of other servers' logs (C2SP tlog-witness).
    Witness(audit::WitnessServer),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(serve::ConfigVerb),
    /// List every route and the verb behind it.
    Routes(serve::Routes),
}

/// Makes a data folder with the defaults, and gives its first administrator's token: what `init` does, for benches and
/// tests that work in one process.
///
/// # Errors
/// As `strongroom init`.
pub async fn make_for_bench(data: &std::path::Path) -> Result<kernel::Secret, Problem> {
    init::make(data, "", "admin").await
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    // Before there is a second thread: a jail is made by a process that has one.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == WORKER_COMMAND) {
        let part = if words.next().is_some_and(|word| word == INNER_OPTION) { jail::Part::Inner } else { jail::Part::Outer };
        return jail::play(part, &[WORKER_COMMAND, INNER_OPTION]);
    }
    let cli = Cli::parse();
    match run(cli.verb) {
        Ok(code) => code,
        Err(problem) => {
            let mut text = format!("strongroom: {problem}");
            let mut source = std::error::Error::source(&problem);
            while let Some(cause) = source {
                text.push_str(&format!("\n  because: {cause}"));
                source = cause.source();
            }
            eprintln!("{text}");
            exit_code(problem.kind())
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode, Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Problem::internal("the runtime could not be started", e))?;
    runtime.block_on(async {
        match verb {
            Verb::Init(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Serve(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Login(login) => login.run().await.map(|()| ExitCode::SUCCESS),
            Verb::User(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Group(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Service(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Retention(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Risk(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Device(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Agent(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Geo(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Token(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Account(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Session(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Mail(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Workspace(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Grant(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Elevate(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Role(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Access(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Audit(verb) => verb.run().await,
            Verb::Detections(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Backup(verb) => verb.run().await,
            Verb::Keys(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Objects(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Data(verb) => verb.run().await,
            Verb::Model(verb) => verb.run().await,
            Verb::Retrain(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Endpoint(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Predictions(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Trace(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Alerts(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Remedy(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Label(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Health(plain) => observe::health(plain).await.map(|()| ExitCode::SUCCESS),
            Verb::Observe(verb) => verb.run().map(|()| ExitCode::SUCCESS),
            Verb::VerifyBundle(verb) => verb.run(),
            Verb::Scan(verb) => verb.run(),
            Verb::Lineage(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Witness(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
            Verb::Config(verb) => verb.run().map(|()| ExitCode::SUCCESS),
            Verb::Routes(verb) => verb.run().await.map(|()| ExitCode::SUCCESS),
        }
    })
}

fn exit_code(kind: Kind) -> ExitCode {
    ExitCode::from(match kind {
        Kind::Invalid => 2,
        Kind::Unauthenticated | Kind::StepUp | Kind::Forbidden => 3,
        Kind::NotFound | Kind::Gone => 4,
        Kind::TooMany | Kind::Unavailable => 5,
        Kind::AlreadyExists | Kind::Conflict | Kind::TooLarge | Kind::NotImplemented | Kind::Internal => 1,
    })
}

/// A file that a command was given, as text.
fn read_text(file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file)
        .map_err(|error| Problem::invalid(format!("`{}` cannot be read: {error}", file.display())).because(error))
}
