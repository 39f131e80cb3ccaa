use std::net::IpAddr;

use gate::{Credential, DEFAULT_WORKSPACE, TokenFacts};
use testkit::{Engine, on_both_engines};

use super::*;

const START: Micros = Micros(1_800_000_000_000_000);
const READ: Action = Action::read("runs.get");
const WRITE: Action = Action::write("runs.create");

fn rate(burst_count_max: u32, per_minute_count_max: u32) -> Rate {
    Rate { burst_count_max, per_minute_count_max }
}

fn config(token: u32, account: u32) -> LimitsConfig {
    let all = |count: u32| config::Rates {
        sign_in: rate(count, 60),
        read: rate(count, 60),
        write: rate(count, 60),
        predict: rate(count, 60),
    };
    LimitsConfig { token: all(token), account: all(account), ..LimitsConfig::default() }
}

fn attempt() -> Attempt {
    Attempt {
        credential: Credential::None,
        address: IpAddr::from([198, 51, 100, 7]),
        user_agent: None,
        workspace: DEFAULT_WORKSPACE.to_owned(),
        client_certificate: None,
        known_browser: None,
    }
}

fn caller(account: &str, token: &str) -> Caller {
    let token = TokenFacts { id: token.to_owned(), scopes: Vec::new(), workspace: None, device: None };
    Caller { kind: CallerKind::User, id: account.to_owned(), token: Some(token), ..Caller::anonymous() }
}

async fn taken_count(limits: &RateLimits, who: &Caller, action: Action, now: Micros) -> usize {
    let mut count = 0;
    while limits.take(&attempt(), who, action, now).await.is_ok() {
        count += 1;
        assert!(count < 10_000);
    }
    count
}

#[tokio::test]
async fn a_token_has_its_rate_and_the_account_another_for_all_of_its_tokens() {
    let limits = RateLimits::new(config(5, 8));
    assert_eq!(taken_count(&limits, &caller("u_1", "t_1"), READ, START).await, 5);
    // What was refused took nothing of the account's.
    assert_eq!(taken_count(&limits, &caller("u_1", "t_2"), READ, START).await, 3);
    assert_eq!(taken_count(&limits, &caller("u_1", "t_3"), READ, START).await, 0);
    // Another kind of question, and another account, are counted apart.
    assert_eq!(taken_count(&limits, &caller("u_1", "t_1"), WRITE, START).await, 5);
    assert_eq!(taken_count(&limits, &caller("u_2", "t_9"), READ, START).await, 5);
    // A second brings one more.
    assert_eq!(taken_count(&limits, &caller("u_2", "t_9"), READ, START.plus_secs(1)).await, 1);
}

#[tokio::test]
async fn what_is_left_is_told_and_a_refusal_is_news_once_a_minute() {
    let limits = RateLimits::new(config(4, 100));
    let who = caller("u_1", "t_1");
    let told = limits.take(&attempt(), &who, READ, START).await.unwrap().unwrap();
    let expected = Allowance { name: "token-read", quota_count: 4, window_s: 4, remaining_count: 3, reset_s: 1 };
    assert_eq!(told, expected);
    taken_count(&limits, &who, READ, START).await;
    // The first refusal, in the loop, was the news.
    let over = limits.take(&attempt(), &who, READ, START).await.unwrap_err();
    assert!(!over.is_news);
    assert_eq!(over.problem.allowance().map(|told| (told.name, told.remaining_count, told.reset_s)), Some(("token-read", 0, 1)));
    assert_eq!(over.problem.retry_after_hint(), Some(Duration::from_secs(1)));
    let later = START.plus_secs(61);
    assert_eq!(taken_count(&limits, &who, READ, later).await, 4);
    assert!(!limits.take(&attempt(), &who, READ, later).await.unwrap_err().is_news);
}

#[tokio::test]
async fn whoever_is_throttled_has_a_request_a_second_until_it_ends() {
    let limits = RateLimits::new(LimitsConfig::default());
    limits.throttle("t_1", START.plus_secs(600), START);
    assert_eq!(taken_count(&limits, &caller("u_1", "t_1"), READ, START).await, 10);
    assert!(limits.take(&attempt(), &caller("u_1", "t_2"), READ, START).await.is_ok());
    assert!(limits.take(&attempt(), &caller("u_1", "t_1"), READ, START.plus_secs(1)).await.is_ok());
    let after = START.plus_secs(601);
    for _ in 0..20 {
        assert!(limits.take(&attempt(), &caller("u_1", "t_1"), READ, after).await.is_ok());
    }
}

#[tokio::test]
async fn an_address_is_not_counted_with_its_neighbours() {
    let few = config::Rates { sign_in: rate(2, 60), read: rate(2, 60), write: rate(2, 60), predict: rate(2, 60) };
    let limits = RateLimits::new(LimitsConfig { address: few, ..LimitsConfig::default() });
    let neighbour = Attempt { address: IpAddr::from([198, 51, 100, 8]), ..attempt() };
    assert_eq!(taken_count(&limits, &caller("u_1", "t_1"), READ, START).await, 2);
    assert!(limits.take(&neighbour, &caller("u_2", "t_2"), READ, START).await.is_ok());
}

#[tokio::test]
async fn a_workspaces_rate_is_taken_by_its_id_and_not_by_a_header() {
    let few = config::Rates { sign_in: rate(3, 60), read: rate(3, 60), write: rate(3, 60), predict: rate(3, 60) };
    let limits = RateLimits::new(LimitsConfig { workspace: few, ..LimitsConfig::default() });
    // Who only knocks, with whatever header, takes nothing of it.
    for _ in 0..10 {
        assert!(limits.take(&attempt(), &caller("u_eve", "t_9"), READ, START).await.is_ok());
    }
    let known = limits.take(&attempt(), &caller("u_1", "t_1"), READ, START).await.unwrap();
    for left in [2, 1, 0] {
        let told = limits.take_in("ws_1", &caller("u_1", "t_1"), READ, (known, START)).await.unwrap().unwrap();
        assert_eq!((told.name, told.remaining_count), ("workspace-read", left), "what is used up first is told");
    }
    let over = limits.take_in("ws_1", &caller("u_2", "t_2"), READ, (None, START)).await.unwrap_err();
    assert!(over.is_news && over.problem.allowance().is_some_and(|told| told.name == "workspace-read"));
    assert!(limits.take_in("ws_2", &caller("u_2", "t_2"), READ, (None, START)).await.is_ok(), "another workspace");
    assert!(limits.take_in("ws_1", &caller("u_2", "t_2"), WRITE, (None, START)).await.is_ok(), "another kind");
    assert_eq!(limits.take_in("ws_1", &Caller::anonymous(), READ, (None, START)).await.unwrap(), None);
}

#[tokio::test]
async fn strangers_and_jobs_are_not_counted_here() {
    let limits = RateLimits::new(config(1, 1));
    for _ in 0..5 {
        assert_eq!(limits.take(&attempt(), &Caller::anonymous(), READ, START).await.unwrap(), None);
    }
}

/// Three servers on one database.
fn servers(engine: &Engine, config: LimitsConfig) -> (Vec<RateLimits>, SystemDb) {
    let system = vault::db::open(&engine.location).unwrap().system;
    let secret = Secret::from("shared".to_owned());
    let config = LimitsConfig { servers_count: 3, ..config };
    let server = |_| {
        let mut limits = RateLimits::new(config.clone());
        limits.share(system.clone(), &secret);
        limits
    };
    ((0..3).map(server).collect(), system.clone())
}

async fn granted_count(servers: &[RateLimits], asked_count: usize, now: Micros) -> usize {
    let who = caller("u_1", "t_1");
    let mut granted_count = 0;
    // They take turns, so that each holds a lease when the rate ends.
    for server in servers.iter().cycle().take(asked_count) {
        granted_count += usize::from(server.take(&attempt(), &who, READ, now).await.is_ok());
    }
    granted_count
}

#[test]
fn servers_that_share_a_database_never_grant_more_than_the_rate() {
    on_both_engines("rates", async |engine| {
        let (servers, _) = servers(&engine, config(400, 100_000));
        let granted = granted_count(&servers, 1_000, START).await;
        assert!((396..=400).contains(&granted), "{granted}");
        // A minute brings sixty more, to all of them together.
        let granted = granted_count(&servers, 300, START.plus_secs(60)).await;
        assert!((58..=60).contains(&granted), "{granted}");
    });
}

#[test]
fn where_the_database_fails_each_server_grants_its_share() {
    on_both_engines("rates", async |engine| {
        let (servers, system) = servers(&engine, config(60, 100_000));
        system.write(|writer| Ok(writer.execute("DROP TABLE risk_rate", &[])?)).await.unwrap();
        assert_eq!(granted_count(&servers[..1], 100, START).await, 20);
        assert_eq!(granted_count(&servers, 100, START).await, 40);
    });
}
