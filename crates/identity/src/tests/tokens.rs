//! Minting, narrowing, revoking.

use gate::Credential;
use kernel::{Kind, Secret};

use super::{PASSWORD, World, bearer, worlds};
use crate::ops::accounts::CreateService;
use crate::ops::sessions::CreateSession;
use crate::ops::tokens::{CreateTokenFor, ListTokens, RevokeAnyToken, RevokeToken};
use crate::ops::workspaces::CreateWorkspace;
use crate::{Name, PageWish, TOKENS_OF_PRINCIPAL_COUNT_MAX, TokenWish, parse_scopes, parse_secret_text};

const DAY_S: i64 = 86_400;

fn wish(scopes: &[&str], workspace: Option<&Name>, lifetime_s: Option<i64>) -> TokenWish {
    TokenWish {
        label: "laptop".to_owned(),
        scopes: parse_scopes(scopes.iter().copied()).unwrap(),
        workspace: workspace.cloned(),
        lifetime_s,
        only_this_device: false,
    }
}

async fn two_workspaces(world: &World) -> (Name, Name) {
    for name in ["one", "two"] {
        world.by_job(CreateWorkspace { room: world.room.clone(), name: world.name(name) }).await.unwrap();
    }
    (world.name("one"), world.name("two"))
}

async fn mint_kind(world: &World, with: &Secret, wish: TokenWish) -> Option<Kind> {
    world.mint(bearer(with), wish).await.err().map(|problem| problem.kind())
}

#[tokio::test]
async fn a_token_has_an_end_within_its_bounds() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let with = || world.basic("ada", PASSWORD);
        let usual = world.mint(with(), TokenWish::default()).await.unwrap();
        assert_eq!(usual.token.expires_at.0 - usual.token.created_at.0, 30 * DAY_S * 1_000_000);
        assert!(parse_secret_text(usual.secret.expose()).is_some());
        assert!(usual.secret.expose_text().unwrap().starts_with(&usual.token.prefix));
        world.mint(with(), wish(&[], None, Some(365 * DAY_S))).await.unwrap();
        for bad in [0, -1, 365 * DAY_S + 1, i64::MAX, i64::MIN] {
            assert_eq!(world.mint(with(), wish(&[], None, Some(bad))).await.unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
        world.clock.advance_secs(30 * DAY_S - 1);
        world.who(bearer(&usual.secret)).await.unwrap();
        world.clock.advance_secs(1);
        assert!(world.is_refused(bearer(&usual.secret)).await);
    }
}

#[tokio::test]
async fn a_token_mints_nothing_wider_than_itself() {
    for world in worlds() {
        let (one, two) = two_workspaces(&world).await;
        world.user("ada", Some(PASSWORD)).await;
        let parent = wish(&["runs.*", "tokens.create"], Some(&one), Some(10 * DAY_S));
        let parent = world.mint(world.basic("ada", PASSWORD), parent).await.unwrap();
        for (wider, why) in [
            (wish(&["*"], None, None), "every scope"),
            (wish(&["models.get"], None, None), "another scope"),
            (wish(&["runs.*", "tokens.*"], None, None), "one scope of two"),
            (wish(&["runs.log"], Some(&two), None), "another workspace"),
            (wish(&["runs.log"], Some(&one), Some(10 * DAY_S + 1)), "a longer life"),
        ] {
            assert_eq!(mint_kind(&world, &parent.secret, wider).await, Some(Kind::Forbidden), "{why}");
        }
        let child = world.mint(bearer(&parent.secret), wish(&["runs.log"], Some(&one), Some(DAY_S))).await.unwrap();
        assert_eq!(child.token.scopes, ["runs.log"]);
        // Who wishes for nothing in particular gets the parent's bounds, not none.
        let heir = world.mint(bearer(&parent.secret), TokenWish::default()).await.unwrap().token;
        assert_eq!(heir.scopes, ["runs.*", "tokens.create"]);
        assert_eq!((&heir.workspace_id, heir.expires_at), (&parent.token.workspace_id, parent.token.expires_at));
        let facts = world.who(bearer(&child.secret)).await.unwrap().token.unwrap();
        assert_eq!((facts.scopes, facts.workspace), (vec!["runs.log".to_owned()], parent.token.workspace_id));
        // A session that the token opens is no way round.
        let session = world.by(bearer(&parent.secret), CreateSession { room: world.room.clone(), replaces: None }).await.unwrap();
        let with = Credential::Session(session.secret);
        let wider = world.mint(with, wish(&["models.get"], None, None)).await.unwrap_err();
        assert_eq!(wider.kind(), Kind::Forbidden);
    }
}

#[tokio::test]
async fn what_a_token_minted_ends_with_it() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let parent = world.token_for(&ada).await;
        let child = world.mint(bearer(&parent.secret), TokenWish::default()).await.unwrap();
        let grandchild = world.mint(bearer(&child.secret), TokenWish::default()).await.unwrap();
        let session = world.by(bearer(&child.secret), CreateSession { room: world.room.clone(), replaces: None }).await.unwrap();
        let other = world.token_for(&ada).await;
        world.who(Credential::Session(session.secret.clone())).await.unwrap();
        let revoked = RevokeAnyToken { room: world.room.clone(), token: parent.token.id.clone() };
        assert_eq!(world.by_job(revoked).await.unwrap(), 3);
        for secret in [&parent.secret, &child.secret, &grandchild.secret] {
            assert!(world.is_refused(bearer(secret)).await);
        }
        assert!(world.is_refused(Credential::Session(session.secret)).await);
        world.who(bearer(&other.secret)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_job_mints_for_somebody_ends_with_what_they_asked_with() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let asked_with = world.mint(world.basic("ada", PASSWORD), wish(&[], None, Some(600))).await.unwrap();
        let errand = |parent: Option<String>, lifetime_s| CreateTokenFor {
            room: world.room.clone(),
            principal: ada.id.clone(),
            parent,
            wish: wish(&["runs.log"], None, Some(lifetime_s)),
        };
        let parent = Some(asked_with.token.id.clone());
        let long = world.by_job(errand(parent.clone(), DAY_S)).await.unwrap();
        assert_eq!(long.token.expires_at, asked_with.token.expires_at, "it is cut, not refused");
        let short = world.by_job(errand(parent.clone(), 60)).await.unwrap();
        assert!(short.token.expires_at < asked_with.token.expires_at);
        assert_eq!(world.who(bearer(&short.secret)).await.unwrap().id, ada.id);
        world.by_job(RevokeAnyToken { room: world.room.clone(), token: asked_with.token.id }).await.unwrap();
        for secret in [&long.secret, &short.secret] {
            assert!(world.is_refused(bearer(secret)).await);
        }
        assert_eq!(
            world.by_job(errand(parent, 60)).await.unwrap_err().kind(),
            Kind::Unauthenticated,
            "what has ended asks for nothing"
        );
        world.by_job(errand(None, 60)).await.unwrap();
    }
}

#[tokio::test]
async fn only_a_service_accounts_owner_mints_its_tokens() {
    for world in worlds() {
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let (ada_token, bob_token) = (world.token_for(&ada).await, world.token_for(&bob).await);
        let service = CreateService { room: world.room.clone(), name: world.name("ci") };
        let service = world.by(bearer(&ada_token.secret), service).await.unwrap();
        let mint_for = |principal: &str| CreateTokenFor {
            parent: None,
            room: world.room.clone(),
            principal: principal.to_owned(),
            wish: TokenWish::default(),
        };
        let minted = world.by(bearer(&ada_token.secret), mint_for(&service.name)).await.unwrap();
        assert!(minted.secret.expose_text().unwrap().starts_with("sr_svc_"));
        assert_eq!(world.who(bearer(&minted.secret)).await.unwrap().id, service.id);
        for (principal, kind) in
            [(&service.id, Kind::Forbidden), (&ada.id, Kind::Forbidden), (&"u_none".to_owned(), Kind::NotFound)]
        {
            let refused = world.by(bearer(&bob_token.secret), mint_for(principal)).await.unwrap_err();
            assert_eq!(refused.kind(), kind, "{principal}");
        }
        // What was minted with ada's token ends with it, also for the service account.
        world.by(bearer(&ada_token.secret), RevokeToken { room: world.room.clone(), token: None }).await.unwrap();
        assert!(world.is_refused(bearer(&minted.secret)).await);
    }
}

#[tokio::test]
async fn nobody_sees_or_revokes_anothers_tokens_as_ones_own() {
    for world in worlds() {
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let (ada_token, bob_token) = (world.token_for(&ada).await, world.token_for(&bob).await);
        let revoke = RevokeToken { room: world.room.clone(), token: Some(bob_token.token.id.clone()) };
        assert_eq!(world.by(bearer(&ada_token.secret), revoke).await.unwrap_err().kind(), Kind::NotFound);
        let list = ListTokens { room: world.room.clone(), of: None, page: PageWish::default() };
        let listed = world.by(bearer(&ada_token.secret), list).await.unwrap();
        assert_eq!(listed.rows, [ada_token.token]);
        let of_bob = ListTokens { room: world.room.clone(), of: Some(bob.name), page: PageWish::default() };
        assert_eq!(world.by_job(of_bob).await.unwrap().rows.len(), 1);
    }
}

#[tokio::test]
async fn live_tokens_are_counted() {
    let world = worlds().remove(0);
    let ada = world.user("ada", None).await;
    let first = world.token_for(&ada).await;
    for _ in 1..TOKENS_OF_PRINCIPAL_COUNT_MAX {
        world.token_for(&ada).await;
    }
    assert_eq!(mint_kind(&world, &first.secret, TokenWish::default()).await, Some(Kind::TooMany));
    let mut page = PageWish { after: None, rows: Some(70) };
    let mut count = 0;
    loop {
        let list = ListTokens { room: world.room.clone(), of: None, page: page.clone() };
        let listed = world.by(bearer(&first.secret), list).await.unwrap();
        count += listed.rows.len();
        page.after = listed.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(count, 200);
}
