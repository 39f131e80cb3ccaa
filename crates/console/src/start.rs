//! The first run: from an empty server to the first answer of a model. Each step looks by itself whether it is done; nothing is ticked off
//! by hand.

use admission::Standing;
use admission::ops::ListStandings;
use artifacts::GetKeysStatus;
use askama::Template;
use backup::ops::ListRuns;
use backup::{RunKind, RunState};
use gate::{DEFAULT_WORKSPACE, DataState, Operation, Visitor};
use http::Method;
use identity::PageWish;
use identity::ops::factors::{FACTORS_LIST, ListFactors};
use identity::ops::tokens::{ListTokens, TOKENS_LIST};
use identity::ops::workspaces::ListWorkspaces;
use kernel::{Micros, Problem};
use serving::ops::{EndpointPage, SearchEndpoints};
use tracking::View;
use tracking::ops::{SearchExperiments, SearchRuns};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::account::own_tokens;
use crate::board::if_allowed;
use crate::clients::Settings;
use crate::page::page_in;

const PAGE: &str = "/console/start";
/// What stands for a token in settings.
const TOKEN: &str = "YOUR-TOKEN";
/// The newest versions of models that are looked at.
const STANDINGS: usize = 50;
/// What is said of commands that need what the step of the token has: a token in the environment, and the authority's file.
const WITH_TOKEN: &str = "strongroom, with the settings of the token";
/// A whole program, so that nobody needs a model for a first one. The step of the first answer asks it.
const FIRST_MODEL: &str = "import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

rows, kinds = load_iris(return_X_y=True)
with mlflow.start_run():
    model = LogisticRegression(max_iter=500).fit(rows, kinds)
    mlflow.sklearn.log_model(model, name=\"model\", registered_model_name=\"churn\", serialization_format=\"skops\")";
/// Experiments that are looked through for a first run.
const EXPERIMENTS: i64 = 100;

/// A step of the way.
struct Step {
    title: &'static str,
    is_done: bool,
    /// Whether a server is whole without it.
    is_optional: bool,
    /// What was found, or what to do.
    words: String,
    /// A page where it is done, and what its link says; none where it is done elsewhere.
    link: Option<(&'static str, &'static str)>,
    /// Commands and settings to copy, which stay when it is done.
    settings: Vec<Settings>,
}

/// Commands of ours.
fn commands(client: &'static str, code: impl Into<String>) -> Vec<Settings> {
    vec![Settings { client, words: "", code: code.into() }]
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartTemplate {
    done_count: usize,
    needed_count: usize,
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
    steps.extend(workspace(visitor, rooms, url).await?);
    steps.push(token(visitor, rooms, url).await?);
    steps.push(run(visitor, rooms).await?);
    steps.push(model(visitor, rooms).await?);
    steps.push(endpoint(visitor, rooms, url).await?);
    let needed = || steps.iter().filter(|step| !step.is_optional);
    let (needed_count, done_count) = (needed().count(), needed().filter(|step| step.is_done).count());
    let is_whole = done_count == needed_count;
    page_in(visitor.workspace(), &StartTemplate { done_count, needed_count, is_whole, steps })
}

async fn passkey(visitor: &Visitor, rooms: &Rooms) -> Result<Step, Problem> {
    let (factors, _) = visitor.call(ListFactors { room: rooms.identity.clone() }).await?;
    let words = match (factors.passkeys.len(), factors.totp_since.is_some()) {
        (0, false) => {
            "A password or a token alone opens your account. Add a passkey: nothing that somebody can be talked out of."
                .to_owned()
        }
        (0, true) => "You have no passkey. One-time codes guard your account, and somebody can be talked out of one.".to_owned(),
        (1, _) => format!("You have a passkey, and {} recovery codes left.", factors.recovery_codes_left),
        (count, _) => format!("You have {count} passkeys, and {} recovery codes left.", factors.recovery_codes_left),
    };
    Ok(Step {
        title: "A passkey for you",
        is_done: !factors.passkeys.is_empty(),
        is_optional: false,
        words,
        link: Some(("/account", "Your account")),
        settings: Vec::new(),
    })
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
    let link = Some(("/console/vault", "The vault"));
    Ok(Some(Step { title: "The key", is_done, is_optional: false, words, link, settings: Vec::new() }))
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
    let settings = commands("The configuration", "[backup]\nto = \"/somewhere/else\"");
    let link = Some(("/console/vault", "The vault"));
    Ok(Some(Step {
        title: "A backup that was restored once",
        is_done: is_backed_up && is_drilled,
        is_optional: false,
        words: words.to_owned(),
        link,
        settings,
    }))
}

async fn workspace(visitor: &Visitor, rooms: &Rooms, url: &str) -> Result<Option<Step>, Problem> {
    let list = ListWorkspaces { room: rooms.identity.clone(), page: PageWish::default() };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    // Every server begins with the default one: that it is there says nothing.
    let own_count = found.rows.iter().filter(|one| one.name != DEFAULT_WORKSPACE).count();
    let words = match (found.rows.len(), own_count) {
        (0, _) => "You may see into no workspace. Somebody who owns one can give you a role in it.".to_owned(),
        (_, 0) => format!(
            "There is `{DEFAULT_WORKSPACE}`, which every server begins with. Teams whose data must not meet get one each."
        ),
        (_, 1) => "Somebody made a workspace beside the one that every server begins with.".to_owned(),
        (_, count) => format!("There are {count} workspaces, or more, beside the one that every server begins with."),
    };
    let options = rooms.clients.command_options(url);
    let code = format!(
        "strongroom workspace create TEAM {options}\n\
         strongroom grant create SOMEBODY contributor --workspace TEAM {options}"
    );
    Ok(Some(Step {
        title: "A workspace of your own",
        is_done: own_count > 0,
        is_optional: true,
        words,
        link: Some(("/console/workspaces", "Workspaces")),
        settings: commands(WITH_TOKEN, code),
    }))
}

async fn token(visitor: &Visitor, rooms: &Rooms, url: &str) -> Result<Step, Problem> {
    let list = ListTokens { room: rooms.identity.clone(), of: None, page: own_tokens() };
    let found = visitor.call(list).await?;
    let is_done = found.rows.iter().any(|token| token.revoked_at.is_none());
    let words =
        if is_done { "You have a token." } else { "Programs log in with a token. It is shown once, with settings to copy." };
    let login = format!("strongroom login {}", rooms.clients.command_options(url));
    let mut settings = rooms.clients.settings(url, TOKEN);
    let instead = "Instead of a token from a page: a browser agrees, and one is written where `strongroom` and mlflow read it.";
    settings.push(Settings { client: "strongroom", words: instead, code: login });
    let link = Some(("/account#tokens", "Make a token"));
    Ok(Step { title: "A token for your programs", is_done, is_optional: false, words: words.to_owned(), link, settings })
}

async fn run(visitor: &Visitor, rooms: &Rooms) -> Result<Step, Problem> {
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
    let code = "python -c 'import mlflow; mlflow.log_metric(\"accuracy\", 0.9)'";
    Ok(Step {
        title: "A first run",
        is_done,
        is_optional: false,
        words: words.to_owned(),
        link: Some(("/console/experiments", "Experiments")),
        settings: commands("mlflow, with the settings of the token", code),
    })
}

async fn model(visitor: &Visitor, rooms: &Rooms) -> Result<Step, Problem> {
    let list = ListStandings {
        room: rooms.admission.clone(),
        name: None,
        part: None,
        which: data::Which::All,
        after: None,
        rows: Some(STANDINGS),
    };
    let found = if_allowed(visitor, list).await?.map(|found| found.rows).unwrap_or_default();
    let (is_done, words) = model_words(&found, visitor.at());
    Ok(Step {
        title: "A first model",
        is_done,
        is_optional: false,
        words: words.to_owned(),
        link: Some(("/console/models", "Models")),
        settings: commands("mlflow with scikit-learn and skops, in Python, with the settings of the token", FIRST_MODEL),
    })
}

/// Whether a model was registered and inspected, of the newest versions, and what became of that.
fn model_words(newest: &[Standing], now: Micros) -> (bool, &'static str) {
    let stands = |state: DataState| newest.iter().any(|one| one.state_at(now) == state);
    if stands(DataState::Admitted) {
        (true, "A model is registered, was inspected, and may be served.")
    } else if newest.iter().any(|one| one.verdict.is_some()) {
        (true, "A model is registered and was inspected. It may not be served yet: its page says why, and who acts next.")
    } else if newest.is_empty() {
        (false, "Register a model: it is inspected before anyone may serve it.")
    } else {
        (false, "A model is registered. Its inspection has not ended yet.")
    }
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
        "strongroom endpoint create churn --model churn/1 {options}\n\
         # The Open Inference Protocol, as tritonclient speaks it (its settings stand with the token): {url}/v2/models/churn/infer\n\
         # MLflow's scoring: {url}/endpoints/churn/invocations\n\
         curl{authority} -H 'Authorization: Bearer {TOKEN}' -H 'Content-Type: application/json' \\\n  \
         -d '{{\"inputs\": [[5.1, 3.5, 1.4, 0.2]]}}' {url}/endpoints/churn/invocations",
        options = rooms.clients.command_options(url),
        authority = if rooms.clients.authority.is_some() { " --cacert ca.pem" } else { "" }
    );
    Ok(Step {
        title: "A first answer",
        is_done,
        is_optional: false,
        words: words.to_owned(),
        link: Some(("/console/endpoints", "Endpoints")),
        settings: commands("strongroom, with the settings of the token, and any client of HTTP", code),
    })
}

#[cfg(test)]
mod tests {
    use admission::Subject;
    use data::Verdict;

    use super::*;

    #[test]
    fn a_model_counts_once_its_inspection_has_ended() {
        let standing = |state, verdict| Standing {
            subject: Subject { model_id: "m".to_owned(), number: 1 },
            name: "m".to_owned(),
            workspace: "w".to_owned(),
            state,
            verdict,
            submitter: "s".to_owned(),
            submitter_name: None,
            submitted_at: Micros(1),
            place: None,
            manifest_sha256: None,
            file_count: 1,
            size_bytes: 1,
            decision: None,
            waiver_until: None,
            gate_revision: None,
        };
        let told = |all: &[Standing]| model_words(all, Micros(2));
        assert!(!told(&[]).0);
        for state in [DataState::Quarantined, DataState::Inspecting] {
            assert_eq!(told(&[standing(state, None)]), (false, "A model is registered. Its inspection has not ended yet."));
        }
        let held_back = told(&[standing(DataState::Quarantined, Some(Verdict::Waiver))]);
        assert!(held_back.0 && held_back.1.contains("may not be served yet"));
        let both = [standing(DataState::Inspecting, None), standing(DataState::Admitted, Some(Verdict::Pass))];
        assert!(told(&both).0 && told(&both).1.contains("may be served"));
    }
}
