//! The first run: from an empty server to the first answer of a model. Each step looks by itself whether it is done; nothing is ticked off
//! by hand.

use admission::ops::ListStandings;
use artifacts::GetKeysStatus;
use askama::Template;
use backup::ops::ListRuns;
use backup::{RunKind, RunState};
use gate::{Operation, Visitor};
use http::Method;
use identity::PageWish;
use identity::ops::factors::{FACTORS_LIST, ListFactors};
use identity::ops::tokens::{ListTokens, TOKENS_LIST};
use identity::ops::workspaces::ListWorkspaces;
use kernel::Problem;
use serving::ops::{EndpointPage, SearchEndpoints};
use tracking::View;
use tracking::ops::{SearchExperiments, SearchRuns};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::account::own_tokens;
use crate::board::if_allowed;
use crate::page::page_in;

const PAGE: &str = "/console/start";
/// Experiments that are looked through for a first run.
const EXPERIMENTS: i64 = 100;

/// A step of the way.
struct Step {
    title: &'static str,
    is_done: bool,
    /// What was found, or what to do.
    words: String,
    /// A page where it is done, and what its link says; none where it is done elsewhere.
    link: Option<(&'static str, &'static str)>,
    /// Commands or settings to copy.
    code: String,
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartTemplate {
    done_count: usize,
    is_whole: bool,
    steps: Vec<Step>,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let verbs = [
        FACTORS_LIST,
        GetKeysStatus::ACTION,
        ListRuns::ACTION,
        ListWorkspaces::ACTION,
        TOKENS_LIST,
        SearchExperiments::ACTION,
        SearchRuns::ACTION,
        ListStandings::ACTION,
        SearchEndpoints::ACTION,
    ];
    let rooms = rooms.clone();
    door.choice(Method::GET, PAGE, &verbs, move |inbound| {
        let (rooms, url) = (rooms.clone(), inbound.origin());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, &rooms, &url).await })))
    });
}

async fn shown(visitor: &Visitor, rooms: &Rooms, url: &str) -> Result<Answer, Problem> {
    let mut steps = vec![passkey(visitor, rooms).await?];
    steps.extend(keys(visitor, rooms).await?);
    steps.extend(backups(visitor, rooms).await?);
    steps.extend(workspace(visitor, rooms).await?);
    steps.push(token(visitor, rooms).await?);
    steps.push(run(visitor, rooms, url).await?);
    steps.push(model(visitor, rooms).await?);
    steps.push(endpoint(visitor, rooms, url).await?);
    let done_count = steps.iter().filter(|step| step.is_done).count();
    page_in(visitor.workspace(), &StartTemplate { is_whole: done_count == steps.len(), done_count, steps })
}

async fn passkey(visitor: &Visitor, rooms: &Rooms) -> Result<Step, Problem> {
    let (factors, _) = visitor.call(ListFactors { room: rooms.identity.clone() }).await?;
    let is_done = !factors.passkeys.is_empty() || factors.totp_since.is_some();
    let words = match (factors.passkeys.len(), factors.totp_since.is_some()) {
        (0, false) => {
            "A password alone opens your account. Add a passkey: nothing that somebody can be talked out of.".to_owned()
        }
        (0, true) => "One-time codes guard your account; a passkey cannot be phished.".to_owned(),
        (count, _) => format!("{count} passkeys, {} recovery codes left.", factors.recovery_codes_left),
    };
    Ok(Step { title: "A passkey for you", is_done, words, link: Some(("/account", "Your account")), code: String::new() })
}

async fn keys(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Step>, Problem> {
    let Some(keys) = if_allowed(visitor, GetKeysStatus { room: rooms.artifacts.clone() }).await? else { return Ok(None) };
    let is_done = keys.warnings.is_empty();
    let words = if is_done {
        format!(
            "The root key lies in {}, version {}. Without it nothing can be read: keep a copy elsewhere.",
            keys.root.service, keys.root.version
        )
    } else {
        format!("Somebody must look after keys: {}", keys.warnings.join("; "))
    };
    Ok(Some(Step { title: "The key", is_done, words, link: Some(("/console/vault", "The vault")), code: String::new() }))
}

async fn backups(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Step>, Problem> {
    let Some(runs) = if_allowed(visitor, ListRuns { room: rooms.backup.clone() }).await? else { return Ok(None) };
    let has = |kind: RunKind| runs.iter().any(|run| run.kind == kind && run.state == RunState::Done);
    let (is_backed_up, is_drilled) = (has(RunKind::Backup), has(RunKind::Drill));
    let words = match (is_backed_up, is_drilled) {
        (true, true) => "There is a backup, and a drill has restored one.",
        (true, false) => "There is a backup. Drill a restore once: a backup that nobody restored is a hope.",
        (false, _) => "There is no backup yet. Name a place in the configuration and make one.",
    };
    let code = if is_backed_up { String::new() } else { "[backup]\nto = \"/somewhere/else\"".to_owned() };
    let link = Some(("/console/vault", "The vault"));
    Ok(Some(Step {
        title: "A backup that was restored once",
        is_done: is_backed_up && is_drilled,
        words: words.to_owned(),
        link,
        code,
    }))
}

async fn workspace(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Step>, Problem> {
    let list = ListWorkspaces { room: rooms.identity.clone(), page: PageWish::default() };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    let count = found.rows.len();
    let words = match count {
        0 => "You may see into no workspace. Somebody who owns one can give you a role in it.".to_owned(),
        1 => "There is one workspace. Teams whose data must not meet get one each.".to_owned(),
        count => format!("There are {count} workspaces, or more."),
    };
    let code = "strongroom workspace create TEAM\nstrongroom grant create SOMEBODY contributor --workspace TEAM".to_owned();
    Ok(Some(Step { title: "A workspace", is_done: count > 0, words, link: Some(("/console/workspaces", "Workspaces")), code }))
}

async fn token(visitor: &Visitor, rooms: &Rooms) -> Result<Step, Problem> {
    let list = ListTokens { room: rooms.identity.clone(), of: None, page: own_tokens() };
    let found = visitor.call(list).await?;
    let is_done = found.rows.iter().any(|token| token.revoked_at.is_none());
    let words =
        if is_done { "You have a token." } else { "Programs log in with a token. It is shown once, with settings to copy." };
    let code =
        "strongroom login        # or so: a browser agrees, and the token is written where the mlflow client reads it".to_owned();
    let link = Some(("/account#tokens", "Make a token"));
    Ok(Step { title: "A token for your programs", is_done, words: words.to_owned(), link, code })
}

async fn run(visitor: &Visitor, rooms: &Rooms, url: &str) -> Result<Step, Problem> {
    let room = || rooms.tracking.clone();
    let search = SearchExperiments {
        room: room(),
        filter: String::new(),
        order_by: Vec::new(),
        view: View::Active,
        max_results: EXPERIMENTS,
        page_token: None,
    };
    let mut is_done = false;
    if let Some(found) = if_allowed(visitor, search).await? {
        let experiment_ids = found.items.iter().map(|one| one.experiment_id.to_string()).collect();
        let search = SearchRuns {
            room: room(),
            experiment_ids,
            filter: String::new(),
            order_by: Vec::new(),
            view: View::Active,
            max_results: 1,
            page_token: None,
        };
        is_done = if_allowed(visitor, search).await?.is_some_and(|found| !found.items.is_empty());
    }
    let words = if is_done { "Somebody logged a run." } else { "Log a first run with the mlflow client as it is." };
    let code = format!(
        "export MLFLOW_TRACKING_URI={url}\nexport MLFLOW_TRACKING_TOKEN=…\nexport MLFLOW_TRACKING_SERVER_CERT_PATH=…/ca.pem\n\
         python -c 'import mlflow; mlflow.log_metric(\"accuracy\", 0.9)'"
    );
    Ok(Step { title: "A first run", is_done, words: words.to_owned(), link: Some(("/console/experiments", "Experiments")), code })
}

async fn model(visitor: &Visitor, rooms: &Rooms) -> Result<Step, Problem> {
    let list = ListStandings {
        room: rooms.admission.clone(),
        name: None,
        part: None,
        which: data::Which::All,
        after: None,
        rows: Some(1),
    };
    let is_done = if_allowed(visitor, list).await?.is_some_and(|found| !found.rows.is_empty());
    let words = if is_done {
        "A model is registered, and was inspected."
    } else {
        "Register a model: it is inspected before anyone may serve it."
    };
    let code = "mlflow.sklearn.log_model(model, name=\"model\", registered_model_name=\"churn\", serialization_format=\"skops\")";
    let link = Some(("/console/models", "Models"));
    Ok(Step { title: "A first model", is_done, words: words.to_owned(), link, code: code.to_owned() })
}

async fn endpoint(visitor: &Visitor, rooms: &Rooms, url: &str) -> Result<Step, Problem> {
    let search = SearchEndpoints { room: rooms.serving.clone(), model: None, after: None, rows: None };
    let found = if_allowed(visitor, search).await?;
    let answers = |found: &EndpointPage| found.rows.iter().any(|one| !found.obstacles.contains_key(&one.id));
    let is_done = found.as_ref().is_some_and(answers);
    let words = match found {
        _ if is_done => "An endpoint answers.",
        Some(found) if !found.rows.is_empty() => {
            "There are endpoints, and none of the first of them can answer: their pages say why."
        }
        _ => "Let an admitted model answer.",
    };
    let code = format!(
        "strongroom endpoint create churn --model churn/1\n\
         # the Open Inference Protocol, such as tritonclient's: {url}/v2/models/churn/infer\n\
         # MLflow's scoring: {url}/endpoints/churn/invocations\n\
         # both with: Authorization: Bearer TOKEN\n\
         # S3 clients: [s3] listen in the configuration, then\n\
         eval \"$(strongroom token access-key --token-file my.token)\"\n\
         aws --endpoint-url https://HOST:8444 s3 ls"
    );
    Ok(Step {
        title: "A first answer, and other clients",
        is_done,
        words: words.to_owned(),
        link: Some(("/console/endpoints", "Endpoints")),
        code,
    })
}
