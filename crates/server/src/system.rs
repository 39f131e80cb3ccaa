//! The verbs of the server itself: is it alive, what is it, what are its routes.

use gate::{Action, Operation, Permit, Target};
use http::Method;
use kernel::{Kind, Problem};
use serde_json::json;
use wire::mlflow::json::Fields;
use wire::{Answer, Door, Inbound, RouteEntry};

/// The release of MLflow's REST interface that this server answers as; its client asks before it uses newer calls.
pub const MLFLOW_VERSION: &str = "3.12.0";

/// Every verb of the server itself.
pub const ACTIONS: &[Action] = &[Health::ACTION, Version::ACTION, Info::ACTION, Routes::ACTION, Gateway::ACTION, UNROUTED];

/// What a route that no room knows is recorded as.
const UNROUTED: Action = Action::read("server.unrouted");

/// Is it alive? Answers only if it could write its record, so a full disk shows here.
struct Health;

impl Operation for Health {
    const ACTION: Action = Action::read("server.health");
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(), Problem> {
        Ok(())
    }
}

/// Which release of MLflow does it answer as?
struct Version;

impl Operation for Version {
    const ACTION: Action = Action::read("server.version");
    type Output = &'static str;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<&'static str, Problem> {
        Ok(MLFLOW_VERSION)
    }
}

/// What MLflow's client asks before it logs in: what kind of store, which options.
struct Info;

impl Operation for Info {
    const ACTION: Action = Action::read("server.info");
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(), Problem> {
        Ok(())
    }
}

/// The route table, for those who test that nothing is forgotten.
struct Routes(Vec<RouteEntry>);

impl Operation for Routes {
    const ACTION: Action = Action::read("server.routes");
    type Output = Vec<RouteEntry>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<Vec<RouteEntry>, Problem> {
        Ok(self.0)
    }
}

/// What MLflow's page asks of a gateway to language models. There is none: this server sends nothing to addresses that
/// others name.
struct Gateway {
    method: Method,
    path: String,
}

impl Gateway {
    fn read(inbound: &Inbound) -> Result<Self, Problem> {
        let path = Fields::of(inbound)?.text("gateway_path")?.filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| Problem::invalid("Deployments proxy request must specify a gateway_path."))?;
        Ok(Self { method: inbound.method.clone(), path })
    }
}

impl Operation for Gateway {
    const ACTION: Action = Action::read("server.gateway");
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(), Problem> {
        let path = self.path.trim_matches('/');
        if self.method == Method::GET && path == "api/2.0/endpoints" {
            return Ok(());
        }
        let invocation = path.strip_prefix("gateway/").and_then(|rest| rest.strip_suffix("/invocations"));
        if self.method == Method::POST && invocation.is_some_and(|name| !name.is_empty() && !name.contains('/')) {
            let text = "this server has no gateway to language models; call them from where your code runs";
            return Err(Problem::new(Kind::NotImplemented, text));
        }
        let shown: String = self.path.chars().take(200).collect();
        Err(Problem::invalid(format!("Invalid gateway_path: {shown} for method: {}", self.method)))
    }
}

/// The route table as JSON.
#[must_use]
pub fn table_json(table: &[RouteEntry]) -> serde_json::Value {
    let rows: Vec<_> = table
        .iter()
        .map(|route| json!({"method": route.method.as_str(), "path": route.path, "action": route.action.name}))
        .collect();
    serde_json::Value::Array(rows)
}

/// Adds the routes of this file; the last ones to be added, so that the table they show is whole.
pub fn routes(door: &mut Door) {
    door.route(Method::GET, "/health", |_| Ok(Health), |()| Ok(text("OK")));
    let origin = |inbound: &Inbound| Ok((Info, inbound.origin()));
    door.route_with(Method::GET, wire::authzen::CONFIGURATION, origin, |(), origin| wire::authzen::configuration(&origin));
    door.route_with(Method::GET, wire::authorize::METADATA, origin, |(), origin| wire::authorize::metadata(&origin));
    door.route(Method::GET, "/version", |_| Ok(Version), |version| Ok(text(version)));
    door.mlflow(
        Method::GET,
        "/mlflow/server-info",
        |_| Ok(Info),
        |()| {
            wire::json(&json!({
                "store_type": "SqlStore",
                "workspaces_enabled": true,
                "multipart_uploads_enabled": true,
                "artifacts_presigned_only": false,
            }))
        },
    );
    for method in [Method::GET, Method::POST] {
        door.route(method, "/ajax-api/2.0/mlflow/gateway-proxy", Gateway::read, |()| wire::json(&json!({"endpoints": []})));
    }
    let table = std::sync::Arc::new(std::sync::OnceLock::<Vec<RouteEntry>>::new());
    let shown = std::sync::Arc::clone(&table);
    door.route(
        Method::GET,
        "/api/strongroom/v1/routes",
        move |_| Ok(Routes(shown.get().cloned().unwrap_or_default())),
        |table| wire::json(&json!({ "routes": table_json(&table) })),
    );
    // Set once, just now: nothing else can have set it.
    drop(table.set(door.table().to_vec()));
}

fn text(text: &'static str) -> Answer {
    let mut answer = Answer::new(axum::body::Body::from(text));
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
