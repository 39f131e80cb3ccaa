//! `strongroom data contract`: the contract that versions of a data set must hold to. Documents are read by `strongroom-inspect`,
//! locked in, also where this command runs.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use inspection::{CsvWords, Worker};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::{PREFIX, path};
use super::output::{segment, show};
use super::read_text;

/// Work with data contracts (Open Data Contract Standard).
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom data contract propose churn@1 > churn.odcs.yaml
  strongroom data contract check churn.odcs.yaml train.parquet
  strongroom data contract set churn churn.odcs.yaml --reason 'reviewed with the owner'
  strongroom data contract diff churn churn-new.odcs.yaml
  strongroom data contract import --from great-expectations suite.json --name churn > churn.odcs.yaml

Once a data set has a contract, every version is checked against it, whoever commits it. Exit code of check and diff: 0, or 1 where
something does not hold, is not taken over, or breaks readers.")]
pub enum Contract {
    /// Print the contract of a data set (NAME), or the one that a version was committed with (NAME@VERSION).
    Show(Show),
    /// Make this the contract of a data set, for all versions from now on.
    Set(Set),
    /// Print the contract that an inspection proposes from the data.
    Propose(Show),
    /// Compare two contracts: files, data sets or versions.
    Diff(Diff),
    /// Make a contract from another language.
    Import(Import),
    /// Check whether a contract can be read, and whether local files hold to it.
    Check(Check),
}

/// Options of `data contract show` and `propose`.
#[derive(Args)]
pub struct Show {
    /// `NAME` or `NAME@VERSION`.
    version: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data contract set`.
#[derive(Args)]
pub struct Set {
    /// The data set.
    name: String,
    /// The contract (ODCS YAML).
    file: PathBuf,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data contract diff`.
#[derive(Args)]
pub struct Diff {
    /// The old one: a file, `NAME` or `NAME@VERSION`.
    before: String,
    /// The new one.
    after: String,
    #[command(flatten)]
    connection: Connection,
}

/// The language of a document.
#[derive(Clone, Copy, ValueEnum)]
enum Language {
    /// A suite of Great Expectations (JSON).
    GreatExpectations,
    /// A JSON Schema of one row.
    JsonSchema,
    /// A Table Schema, Data Resource or Data Package of Frictionless.
    Frictionless,
    /// A dbt schema file (YAML).
    Dbt,
}

/// Options of `data contract import`.
#[derive(Args)]
#[command(after_help = "Example:
  strongroom data contract import --from dbt --name orders schema.yml > orders.odcs.yaml")]
pub struct Import {
    /// The language.
    #[arg(long, value_enum)]
    from: Language,
    /// The name of the table.
    #[arg(long, default_value = "data")]
    name: String,
    /// The document.
    file: PathBuf,
}

/// Options of `data contract check`.
#[derive(Args)]
#[command(after_help = "It ends with 0 if the files keep the contract and with 1 if they do not.
Examples:
  strongroom data contract check orders.odcs.yaml
  strongroom data contract check orders.odcs.yaml orders.parquet --json
  strongroom data contract check iris.odcs.yaml iris.data --no-header --delimiter ';'")]
pub struct Check {
    /// The contract.
    contract: PathBuf,
    /// Files to check; without any, only the contract is read.
    files: Vec<PathBuf>,
    #[command(flatten)]
    csv: CsvWords,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Contract {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        match self {
            Self::Show(show) => {
                let mut client = show.connection.open().await?;
                print(&contract_of(&mut client, &show.version).await?)
            }
            Self::Set(set) => set.run().await,
            Self::Propose(show) => {
                let mut client = show.connection.open().await?;
                print(&proposal(&mut client, &show.version).await?)
            }
            Self::Diff(diff) => diff.run().await,
            Self::Import(import) => {
                let language = import.from.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                let mut program = program("import")?;
                program.arg("--from").arg(language).arg("--name").arg(&import.name).arg(&import.file);
                ended(program)
            }
            Self::Check(check) => check.run(),
        }
    }
}

impl Check {
    fn run(&self) -> Result<ExitCode, Problem> {
        if !self.files.is_empty() {
            let mut program = worker()?;
            program.arg("check").arg("--contract").arg(&self.contract).args(self.json.then_some("--json"));
            program.args(self.csv.for_worker()).args(&self.files);
            return ended(program);
        }
        if !self.csv.dialect().is_silent() {
            return Err(Problem::invalid("a header and a delimiter are said of files: name those to check behind the contract"));
        }
        let mut program = program("lint")?;
        program.args(self.json.then_some("--json")).arg(&self.contract);
        ended(program)
    }
}

impl Set {
    async fn run(self) -> Result<ExitCode, Problem> {
        // What cannot be read would refuse every version from now on.
        let mut lint = program("lint")?;
        lint.arg(&self.file);
        output(lint)?;
        let text = read_text(&self.file)?;
        let mut client = self.connection.open().await?;
        let body = json!({ "contract": text, "reason": self.reason });
        let done = client.post(&format!("{PREFIX}/{}/contract", segment(&self.name)), &body).await?;
        show(&client, &done, &["dataset", "sha256"])?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    async fn run(self) -> Result<ExitCode, Problem> {
        let folder = Scratch::make()?;
        let mut files = Vec::new();
        for (name, place) in [("before", &self.before), ("after", &self.after)] {
            if Path::new(place).is_file() {
                files.push(PathBuf::from(place));
                continue;
            }
            let mut client = self.connection.open().await?;
            files.push(folder.write(name, &contract_of(&mut client, place).await?)?);
        }
        let mut program = program("diff")?;
        program.args(self.connection.json.then_some("--json")).args(&files);
        ended(program)
    }
}

async fn contract_of(client: &mut Client, place: &str) -> Result<String, Problem> {
    let address = if place.contains('@') {
        format!("{}/documents/contract.yaml", path(place))
    } else {
        format!("{PREFIX}/{}/contract", segment(place))
    };
    document(client, &address).await
}

async fn document(client: &mut Client, address: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    client
        .download(address, &[], |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .await?;
    String::from_utf8(bytes).map_err(|error| Problem::internal("the document is not UTF-8", error))
}

async fn proposal(client: &mut Client, version: &str) -> Result<String, Problem> {
    let report = document(client, &format!("{}/documents/report.json", path(version))).await?;
    let report: Value = serde_json::from_str(&report).map_err(|error| Problem::internal("the report cannot be read", error))?;
    let proposed = report.get("contract_proposal").and_then(Value::as_str).map(str::to_owned);
    proposed.ok_or_else(|| {
        Problem::new(Kind::Conflict, "nothing is proposed: the version holds to its contract, see `data contract show`")
    })
}

/// The other tables and versions that the rules of the contract in `file` speak of, with the version to look for.
///
/// # Errors
/// If the contract cannot be read, or the program that reads it is not there.
pub(super) fn tables(file: &Path, dataset: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut program = program("tables")?;
    program.arg("--dataset").arg(dataset).arg(file);
    let found: Vec<Value> = serde_json::from_slice(&output(program)?)
        .map_err(|error| Problem::internal("`strongroom-inspect` answers in another form than expected", error))?;
    let named = |table: &Value| {
        let name = table.get("name")?.as_str()?.to_owned();
        let version = if name.contains('@') { name.clone() } else { format!("{name}@admitted") };
        Some((name, version))
    };
    Ok(found.iter().filter_map(named).collect())
}

fn worker() -> Result<Command, Problem> {
    Ok(Command::new(Worker::beside_this_program()?.program()))
}

fn program(verb: &str) -> Result<Command, Problem> {
    let mut command = worker()?;
    command.arg("contract").arg(verb);
    Ok(command)
}

/// Runs a program whose output is this command's, and ends as it does.
fn ended(mut program: Command) -> Result<ExitCode, Problem> {
    let status = program.status().map_err(not_started)?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(1) => Ok(ExitCode::from(1)),
        _ => Err(Problem::invalid("it could not be done; what is wrong was said above")),
    }
}

/// What a program prints; its own words are the problem if it fails.
fn output(mut program: Command) -> Result<Vec<u8>, Problem> {
    let done = program.output().map_err(not_started)?;
    if !done.status.success() {
        let words: String = String::from_utf8_lossy(&done.stderr).chars().take(2_000).collect();
        return Err(Problem::invalid(words.trim().to_owned()));
    }
    Ok(done.stdout)
}

fn not_started(error: std::io::Error) -> Problem {
    Problem::unavailable(format!("`strongroom-inspect` does not start: {error}"))
}

fn print(text: &str) -> Result<ExitCode, Problem> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Problem::unavailable(format!("stdout cannot be written: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A folder of this command's own, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Problem> {
        let path = std::env::temp_dir().join(format!("strongroom-{}", kernel::random_id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(unwritable)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Problem> {
        let file = self.0.join(name);
        std::fs::write(&file, text).map_err(unwritable)?;
        Ok(file)
    }
}

fn unwritable(error: std::io::Error) -> Problem {
    Problem::unavailable(format!("the temporary folder cannot be written: {error}")).because(error)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
