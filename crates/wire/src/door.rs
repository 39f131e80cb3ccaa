//! The one place where routes are made. A route is a method, a path, a way to read the request as one Operation and a
//! way to answer its output; the door does the rest, as [`crate::passage`] says.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use gate::{Action, BoxFuture, Gate, Operation, StatementKind, Visitor};
use http::Method;
use kernel::Problem;

use crate::inbound::{BodyStream, Inbound};
use crate::language::Language;
use crate::lasting::Lasting;
use crate::outbound::{Answer, problem_answer};
use crate::pages::{self, Whence};
use crate::passage::{BodyKind, Shared, UNROUTED, log_problem};

/// The address that a connection came from; the listener puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// What the door must know of its surroundings.
#[derive(Clone)]
pub struct DoorConfig {
    /// Host names (without port) that clients may use. Anything else is refused (DNS rebinding).
    pub allowed_hosts: Vec<String>,
    /// Addresses of proxies that end TLS and are believed which certificate their client showed (RFC 9440).
    pub trusted_proxies: Vec<IpAddr>,
    /// Who is told of each answer.
    pub telemetry: Option<Arc<dyn Telemetry>>,
    /// How a problem looks to somebody who asked for a page.
    pub problem_page: Option<ProblemPage>,
}

/// Makes a page of a problem; the status and the headers that go with it are the door's.
pub type ProblemPage = fn(&Problem, &Whence) -> Answer;

/// Is told of each answer of a route. It must not wait.
pub trait Telemetry: Send + Sync {
    /// A request was answered, as far as its head.
    fn answered(&self, answered: &Answered<'_>);
}

/// A request that was answered: nothing of who asked, or for what.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The verb behind the route.
    pub action: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path pattern.
    pub route: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// The header `traceparent` of the request.
    pub traceparent: Option<&'a str>,
}

/// One line of the route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The HTTP method.
    pub method: Method,
    /// The path pattern.
    pub path: String,
    /// The verb behind it.
    pub action: Action,
}

/// What a request turned out to ask for: one verb, or several of a [`Door::choice`], each of which passes the gate.
pub struct Chosen(pub(crate) Work);

pub(crate) type Work = Box<dyn for<'a> FnOnce(&'a Visitor) -> BoxFuture<'a, Result<Answer, Problem>> + Send>;

impl Chosen {
    /// One verb.
    pub fn verb<O, R>(operation: O, render: R) -> Self
    where
        O: Operation,
        R: FnOnce(O::Output) -> Result<Answer, Problem> + Send + 'static,
    {
        Self::verbs(move |visitor| Box::pin(async move { visitor.call(operation).await.and_then(render) }))
    }

    /// Several verbs, asked of the visitor one after the other.
    pub fn verbs<F>(work: F) -> Self
    where
        F: for<'a> FnOnce(&'a Visitor) -> BoxFuture<'a, Result<Answer, Problem>> + Send + 'static,
    {
        Self(Box::new(work))
    }
}

type Handler = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// Collects routes and becomes a service.
pub struct Door {
    shared: Arc<Shared>,
    handlers: BTreeMap<String, Vec<(Method, Handler)>>,
    table: Vec<RouteEntry>,
}

impl Door {
    /// A door without routes.
    #[must_use]
    pub fn new(gate: Gate, config: DoorConfig) -> Self {
        Self { shared: Arc::new(Shared::new(gate, config)), handlers: BTreeMap::new(), table: Vec::new() }
    }

    /// A route whose body is small and read whole before `parse` sees it.
    pub fn route<O, P, R>(&mut self, method: Method, path: &str, parse: P, render: R)
    where
        O: Operation,
        P: Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, _: BodyStream| Ok((parse(inbound)?, ()));
        self.add::<O, (), _, _>(method, path, BodyKind::Whole, parse, move |output, ()| render(output));
    }

    /// As [`Door::route`], for an answer that needs more of the request than the verb does.
    pub fn route_with<O, C, P, R>(&mut self, method: Method, path: &str, parse: P, render: R)
    where
        O: Operation,
        C: Send + 'static,
        P: Fn(&Inbound) -> Result<(O, C), Problem> + Send + Sync + 'static,
        R: Fn(O::Output, C) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, _: BodyStream| parse(inbound);
        self.add::<O, C, _, _>(method, path, BodyKind::Whole, parse, render);
    }

    /// A route whose body is handed to the verb as a stream.
    pub fn stream<O, P, R>(&mut self, method: Method, path: &str, parse: P, render: R)
    where
        O: Operation,
        P: Fn(&Inbound, BodyStream) -> Result<O, Problem> + Send + Sync + 'static,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, stream: BodyStream| Ok((parse(inbound, stream)?, ()));
        self.add::<O, (), _, _>(method, path, BodyKind::Stream, parse, move |output, ()| render(output));
    }

    /// A route whose body decides which of `actions` it asks for, such as GraphQL's. The first one names refusals that
    /// come before that is known. It stands in the route table once for each.
    pub fn choice<P>(&mut self, method: Method, path: &str, actions: &[Action], parse: P)
    where
        P: Fn(&Inbound) -> Result<Chosen, Problem> + Send + Sync + 'static,
    {
        for action in actions {
            self.table.push(RouteEntry { method: method.clone(), path: path.to_owned(), action: *action });
        }
        let first = actions.first().copied().unwrap_or(UNROUTED);
        self.handle(method, path, first, BodyKind::Whole, move |inbound: &Inbound, _: BodyStream| parse(inbound));
    }

    /// The log-in form: a POST whose body *is* the credential, so it alone is read before its sender is identified.
    pub fn login_with<O, C, P, R>(&mut self, path: &str, parse: P, render: R)
    where
        O: Operation,
        C: Send + 'static,
        P: Fn(&Inbound) -> Result<(O, C), Problem> + Send + Sync + 'static,
        R: Fn(O::Output, C) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, _: BodyStream| parse(inbound);
        self.add::<O, C, _, _>(Method::POST, path, BodyKind::Login, parse, render);
    }

    /// The way back from a provider: a GET whose query and cookie *are* the credential.
    pub fn callback<O, C, P, R>(&mut self, path: &str, parse: P, render: R)
    where
        O: Operation,
        C: Send + 'static,
        P: Fn(&Inbound) -> Result<(O, C), Problem> + Send + Sync + 'static,
        R: Fn(O::Output, C) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, _: BodyStream| parse(inbound);
        self.add::<O, C, _, _>(Method::GET, path, BodyKind::Callback, parse, render);
    }

    /// The token endpoint: a form whose `subject_token` is the credential (RFC 8693). What is left of the body is its `scope`.
    pub fn exchange<O, P, R>(&mut self, path: &str, parse: P, render: R)
    where
        O: Operation,
        P: Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, _: BodyStream| Ok((parse(inbound)?, ()));
        self.add::<O, (), _, _>(Method::POST, path, BodyKind::Exchange, parse, move |output, ()| render(output));
    }

    /// A route of osquery's: a POST of JSON that holds its sender's credential, which is read before anybody is identified.
    pub fn node<O, P, R>(&mut self, path: &str, parse: P, render: R)
    where
        O: Operation,
        P: Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |inbound: &Inbound, _: BodyStream| Ok((parse(inbound)?, ()));
        self.add::<O, (), _, _>(Method::POST, path, BodyKind::Node, parse, move |output, ()| render(output));
    }

    /// Where an issuer tells of its people: what it signed is the credential.
    pub fn statement<O, R>(
        &mut self,
        path: &str,
        kind: StatementKind,
        operation: impl Fn() -> O + Send + Sync + 'static,
        render: R,
    ) where
        O: Operation,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        let parse = move |_: &Inbound, _: BodyStream| Ok((operation(), ()));
        self.add::<O, (), _, _>(Method::POST, path, BodyKind::Statement(kind), parse, move |output, ()| render(output));
    }

    /// A route of MLflow's REST API: `path` under `/api/2.0`, `/api/3.0`, `/ajax-api/2.0` and `/ajax-api/3.0`.
    pub fn mlflow<O, P, R>(&mut self, method: Method, path: &str, parse: P, render: R)
    where
        O: Operation,
        P: Fn(&Inbound) -> Result<O, Problem> + Send + Sync + Clone + 'static,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + Clone + 'static,
    {
        for prefix in crate::mlflow::PREFIXES {
            self.route::<O, _, _>(method.clone(), &format!("{prefix}{path}"), parse.clone(), render.clone());
        }
    }

    /// As [`Door::mlflow`], for a body that is a stream.
    pub fn mlflow_stream<O, P, R>(&mut self, method: Method, path: &str, parse: P, render: R)
    where
        O: Operation,
        P: Fn(&Inbound, BodyStream) -> Result<O, Problem> + Send + Sync + Clone + 'static,
        R: Fn(O::Output) -> Result<Answer, Problem> + Send + Sync + Clone + 'static,
    {
        for prefix in crate::mlflow::PREFIXES {
            self.stream::<O, _, _>(method.clone(), &format!("{prefix}{path}"), parse.clone(), render.clone());
        }
    }

    /// Every route so far.
    #[must_use]
    pub fn table(&self) -> &[RouteEntry] {
        &self.table
    }

    fn add<O, C, P, R>(&mut self, method: Method, path: &str, kind: BodyKind, parse: P, render: R)
    where
        O: Operation,
        C: Send + 'static,
        P: Fn(&Inbound, BodyStream) -> Result<(O, C), Problem> + Send + Sync + 'static,
        R: Fn(O::Output, C) -> Result<Answer, Problem> + Send + Sync + 'static,
    {
        self.table.push(RouteEntry { method: method.clone(), path: path.to_owned(), action: O::ACTION });
        let render = Arc::new(render);
        let choose = move |inbound: &Inbound, stream: BodyStream| {
            let (operation, context) = parse(inbound, stream)?;
            let render = Arc::clone(&render);
            Ok(Chosen::verb(operation, move |output| render(output, context)))
        };
        self.handle(method, path, O::ACTION, kind, choose);
    }

    fn handle<P>(&mut self, method: Method, path: &str, action: Action, kind: BodyKind, choose: P)
    where
        P: Fn(&Inbound, BodyStream) -> Result<Chosen, Problem> + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let choose = Arc::new(choose);
        let route: Arc<str> = Arc::from(path);
        let handler: Handler = Arc::new(move |request| {
            let (shared, choose) = (Arc::clone(&shared), Arc::clone(&choose));
            let telling = shared.config.telemetry.clone().map(|told| Telling::of(told, &request, &route));
            let page = pages::page_of(request.uri());
            Box::pin(async move {
                let work = async move { shared.answer(request, action, kind, &choose).await };
                let work = Lasting::new(pages::HERE.scope(page, work));
                let answer = work.await.unwrap_or_else(|broken| {
                    problem_answer(&Problem::internal("the server failed on this request", broken), false)
                });
                if let Some(telling) = telling {
                    telling.tell(action, &answer);
                }
                answer
            })
        });
        self.handlers.entry(path.to_owned()).or_default().push((method, handler));
    }

    /// The service of a language, on a listener of its own, behind the same door.
    pub fn speak(&self, language: Arc<dyn Language>) -> Router {
        let shared = Arc::clone(&self.shared);
        let route: Arc<str> = Arc::from("/{bucket}/{key}");
        let serve = move |request: Request| {
            let (shared, language, route) = (Arc::clone(&shared), Arc::clone(&language), Arc::clone(&route));
            async move {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let (told, asked) = (shared.config.telemetry.clone(), Arc::clone(&language));
                let telling = told.map(|told| Telling::of(told, &request, &route));
                let work = Lasting::new(async move { shared.hear(request, &*asked).await });
                let (action, answer) = match work.await {
                    Ok(answered) => answered,
                    Err(broken) => (UNROUTED, Err(Problem::internal("the server failed on this request", broken))),
                };
                let answer = answer.unwrap_or_else(|problem| {
                    log_problem(action, &problem);
                    language.refuse(&problem, &method, &path)
                });
                if let Some(telling) = telling {
                    telling.tell(action, &answer);
                }
                answer
            }
        };
        Router::new().fallback(serve)
    }

    /// The service. What no route knows is answered 401 to a stranger and 404 to a known caller.
    pub fn into_router(self) -> Router {
        let shared = Arc::clone(&self.shared);
        let unknown = move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer_unknown(request).await }
        };
        let mut router = Router::new();
        for (path, methods) in self.handlers {
            let unknown = unknown.clone();
            let allowed = methods.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
            let serve = move |request: Request| {
                let known = methods.iter().find(|(method, _)| method == request.method()).map(|(_, handler)| Arc::clone(handler));
                let (unknown, allowed) = (unknown.clone(), allowed.clone());
                async move {
                    match known {
                        Some(handler) => handler(request).await,
                        None => crate::outbound::not_allowed(unknown(request).await, &allowed),
                    }
                }
            };
            #[expect(clippy::disallowed_methods, reason = "the one place where routes are made")]
            {
                router = router.route(&path, axum::routing::any(serve));
            }
        }
        router.fallback(unknown)
    }
}

/// What is kept of a request until it is told of.
struct Telling {
    told: Arc<dyn Telemetry>,
    began: Instant,
    method: Method,
    route: Arc<str>,
    traceparent: Option<String>,
}

impl Telling {
    fn of(told: Arc<dyn Telemetry>, request: &Request, route: &Arc<str>) -> Self {
        let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (method, route) = (request.method().clone(), Arc::clone(route));
        Self { told, began: Instant::now(), method, route, traceparent }
    }

    fn tell(&self, action: Action, answer: &Response) {
        self.told.answered(&Answered {
            action: action.name,
            method: self.method.as_str(),
            route: &self.route,
            status: answer.status().as_u16(),
            took: self.began.elapsed(),
            traceparent: self.traceparent.as_deref(),
        });
    }
}
