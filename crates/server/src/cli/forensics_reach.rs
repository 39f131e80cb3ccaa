//! What descends from what somebody changed, through the lineage of each workspace to the endpoints that answer with it, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Kind, Problem};
use serde_json::{Value, json};

use wire::admin::acts::{Act, Things, not_followed, roots};

use super::client::Client;
use super::forensics::text;
use super::output::{pages, segment};

const PREFIX: &str = "/api/strongroom/v1";
/// Things whose descendants are looked for.
const ROOT_COUNT_MAX: usize = 500;
/// Things of one walk that are named.
const DESCENDANT_COUNT_MAX: usize = 20_000;
/// Workspaces that are known by name.
const WORKSPACE_COUNT_MAX: usize = 10_000;

/// What was found by walking down.
#[derive(Default)]
pub struct Reach {
    /// What descends, by kind and name.
    pub descends: BTreeMap<String, Value>,
    /// Endpoints by workspace and name, with whether the version before the present one descends too or is none.
    endpoints: BTreeMap<(String, String), bool>,
    /// Versions of data sets that were changed themselves, by workspace, data set and number.
    data: BTreeSet<(String, String, String)>,
    /// The names of the workspaces, by id.
    workspaces: BTreeMap<String, String>,
    /// What was not looked for or found, in sentences.
    pub left_off: Vec<String>,
}

impl Reach {
    /// The endpoints, each once.
    pub fn endpoint_names(&self) -> BTreeSet<&str> {
        self.endpoints.keys().map(|(_, name)| name.as_str()).collect()
    }

    /// `--workspace NAME` for what is of another one than the default.
    fn within(&self, workspace: &str) -> String {
        match self.workspaces.get(workspace) {
            Some(name) if name != gate::DEFAULT_WORKSPACE => format!(" --workspace {name}"),
            _ => String::new(),
        }
    }
}

/// Follows everything that was changed.
pub async fn reach(client: &mut Client, touched: &Things) -> Result<Reach, Problem> {
    let left_off = not_followed(touched, ROOT_COUNT_MAX, "narrow the time with --from and --to");
    let mut reach = Reach { left_off, ..Reach::default() };
    let own = client.workspace().to_owned();
    for workspace in pages(client, &format!("{PREFIX}/workspaces"), "workspaces", WORKSPACE_COUNT_MAX).await? {
        reach.workspaces.insert(text(&workspace, "id").to_owned(), text(&workspace, "name").to_owned());
    }
    for (workspace, root) in roots(touched).iter().take(ROOT_COUNT_MAX) {
        let Some(name) = reach.workspaces.get(*workspace).cloned() else {
            unknown(&mut reach, root, "it is of a workspace that you may not see");
            continue;
        };
        client.enter(&name);
        let path = format!("{PREFIX}/lineage?direction=down&subject={}", segment(root));
        match client.get(&path).await {
            Ok(walked) => take(&mut reach, workspace, root, &walked),
            // Most objects are no training data.
            Err(problem) if problem.kind() == Kind::NotFound && root.starts_with("file:") => {}
            // It was deleted or never committed, or the caller may not see it: said, not left out.
            Err(problem) => unknown(&mut reach, root, problem.message()),
        }
    }
    let names: Vec<(String, String)> = reach.endpoints.keys().cloned().collect();
    for (workspace, name) in names {
        if let Some(within) = reach.workspaces.get(&workspace).cloned() {
            client.enter(&within);
            let is_stuck = !leads_back(client, &name, &reach.descends).await;
            reach.endpoints.insert((workspace, name), is_stuck);
        }
    }
    client.enter(&own);
    Ok(reach)
}

fn unknown(reach: &mut Reach, root: &str, why: &str) {
    reach.descends.insert(format!("?{root}"), json!({ "from": root, "kind": "unknown", "name": why }));
    reach.left_off.push(format!("what descends from {root}: {why}"));
}

fn take(reach: &mut Reach, workspace: &str, root: &str, walked: &Value) {
    let list = |name: &str| walked.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_cut = |name: &str| walked.get(name).and_then(Value::as_bool) == Some(true);
    if is_cut("truncated") || list("nodes").len() > DESCENDANT_COUNT_MAX {
        reach.left_off.push(format!("more descends from {root} than one walk finds"));
    }
    for node in list("nodes").iter().take(DESCENDANT_COUNT_MAX) {
        let key = format!("{}/{}", text(node, "kind"), text(node, "name"));
        reach.descends.entry(key).or_insert_with(|| {
            let part = |name: &str| node.get(name).cloned();
            json!({ "from": root, "kind": part("kind"), "name": part("name"), "label": part("label"), "trust": part("trust") })
        });
    }
    // What was changed itself is looked at again.
    for node in list("roots") {
        if let ("data_version", Some((name, number))) = (text(node, "kind"), text(node, "name").rsplit_once('/')) {
            reach.data.insert((workspace.to_owned(), name.to_owned(), number.to_owned()));
        }
    }
    for endpoint in list("endpoints") {
        reach.endpoints.insert((workspace.to_owned(), text(endpoint, "name").to_owned()), false);
    }
}

/// Whether what an endpoint answered with before is something that does not descend from what was changed.
async fn leads_back(client: &mut Client, endpoint: &str, descends: &BTreeMap<String, Value>) -> bool {
    let Ok(shown) = client.get(&format!("{PREFIX}/endpoints/{}", segment(endpoint))).await else { return false };
    if shown.get("rollout").is_some_and(|rollout| !rollout.is_null()) {
        return true;
    }
    let Some(previous) = shown.get("previous").and_then(Value::as_i64) else { return false };
    let label = format!("{} version {previous}", text(&shown, "model"));
    !descends.values().any(|one| text(one, "kind") == "model_version" && text(one, "label") == label)
}

/// What to do, as commands that an administrator, owner or reviewer carries out: nothing of it is done by looking. The account is closed last,
/// for that ends tokens by itself.
pub fn advice(who: &str, acts: &[Act], touched: &Things, reach: &Reach) -> Vec<Value> {
    let mut advice = Vec::new();
    let mut add = |command: String, why: &str| advice.push(json!({ "command": command, "why": why }));
    let tokens: BTreeSet<&str> = acts.iter().filter_map(|act| act.first.get("caller")?.get("token")?.as_str()).collect();
    for token in tokens {
        add(format!("strongroom token revoke --any {token}"), "it was used in this time");
    }
    if who.starts_with("u_") {
        let why = "nothing more is done with this account; its tokens and sessions end at once";
        add(format!("strongroom user disable {who}"), why);
    } else if who.starts_with("s_") {
        add(format!("strongroom service disable {who}"), "nothing more is done with this account; its tokens end at once");
    }
    for thing in touched.values() {
        for grant in &thing.grants {
            let within = reach.within(&thing.workspace);
            add(format!("strongroom grant revoke {grant}{within}"), "a right that was given in this time");
        }
    }
    for ((workspace, name), is_stuck) in &reach.endpoints {
        let within = reach.within(workspace);
        if *is_stuck {
            let why = "it answers with what descends from what was changed, and so did it before, or nothing did";
            add(format!("strongroom endpoint delete {name}{within}"), why);
        } else {
            let why = "it answers with what descends from what was changed; what it answered with before does not";
            add(format!("strongroom endpoint rollback {name}{within}"), why);
        }
    }
    for (workspace, name, number) in &reach.data {
        let within = reach.within(workspace);
        add(format!("strongroom data inspect {name}/{number}{within}"), "this version of data was changed in this time");
    }
    advice
}
