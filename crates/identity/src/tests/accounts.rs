//! Accounts and workspaces.

use gate::{CallerKind, Scope};
use kernel::Kind;

use super::{PASSWORD, bearer, secret, worlds};
use crate::ops::account::GetMe;
use crate::ops::accounts::{CreateService, CreateUser, DeleteService, DeleteUser, DisableUser, GetUser, ListServices, ListUsers};
use crate::ops::passwords::SetPassword;
use crate::ops::workspaces::{CreateWorkspace, GetWorkspace, ListWorkspaces};
use crate::{PageWish, PrincipalKind, TokenWish, principals_by_ids, workspace_by_name};

#[tokio::test]
async fn a_name_is_taken_once_whatever_its_case_and_kind() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let upper = crate::Name::parse(&world.text("ADA").to_ascii_uppercase()).unwrap();
        let user = CreateUser { room: world.room.clone(), name: upper.clone(), password: None };
        assert_eq!(world.by_job(user).await.unwrap_err().kind(), Kind::AlreadyExists);
        let service = CreateService { room: world.room.clone(), name: upper };
        assert_eq!(world.by_job(service).await.unwrap_err().kind(), Kind::AlreadyExists);
        for known in [&ada.id, &ada.name, &ada.name.to_ascii_uppercase()] {
            let found = world.by_job(GetUser { room: world.room.clone(), user: known.clone() }).await.unwrap();
            assert_eq!(found, ada);
        }
        let ids = [ada.id.clone(), "u_gone".to_owned()];
        let names = world.opened.ports.read_point(move |reader| principals_by_ids(reader, &ids)).await.unwrap();
        assert_eq!(names, [(ada.id, ada.name)]);
    }
}

#[tokio::test]
async fn a_weak_first_password_makes_no_account() {
    for world in worlds() {
        let weak = CreateUser { room: world.room.clone(), name: world.name("ada"), password: Some(secret("passwordpassword")) };
        assert_eq!(world.by_job(weak).await.unwrap_err().kind(), Kind::Invalid);
        let get = GetUser { room: world.room.clone(), user: world.text("ada") };
        assert_eq!(world.by_job(get).await.unwrap_err().kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn nobody_bars_deletes_or_resets_themself() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let token = world.token_for(&ada).await;
        let with = || bearer(&token.secret);
        let disable = DisableUser { room: world.room.clone(), user: ada.name.clone() };
        assert_eq!(world.by(with(), disable).await.unwrap_err().kind(), Kind::Invalid);
        let delete = DeleteUser { room: world.room.clone(), user: ada.id.clone() };
        assert_eq!(world.by(with(), delete).await.unwrap_err().kind(), Kind::Invalid);
        let set = SetPassword { room: world.room.clone(), user: ada.id.clone(), password: secret("kettle moss over eleven") };
        assert_eq!(world.by(with(), set).await.unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn lists_come_in_pages_by_name() {
    let world = worlds().remove(0);
    for name in ["c", "a", "b"] {
        world.user(name, None).await;
        world.by_job(CreateService { room: world.room.clone(), name: world.name(&format!("{name}-svc")) }).await.unwrap();
    }
    let page = PageWish { after: None, rows: Some(2) };
    let first = world.by_job(ListUsers { room: world.room.clone(), page }).await.unwrap();
    assert_eq!(first.rows.iter().map(|user| user.name.clone()).collect::<Vec<_>>(), [world.text("a"), world.text("b")]);
    let page = PageWish { after: first.next, rows: Some(2) };
    let last = world.by_job(ListUsers { room: world.room.clone(), page }).await.unwrap();
    assert_eq!((last.rows.len(), last.next), (1, None));
    world.by_job(DeleteService { room: world.room.clone(), service: world.text("a-svc") }).await.unwrap();
    let services = world.by_job(ListServices { room: world.room.clone(), page: PageWish::default() }).await.unwrap();
    assert_eq!(services.rows.len(), 2);
    assert!(services.rows.iter().all(|service| service.kind == PrincipalKind::Service));
}

#[tokio::test]
async fn workspaces_are_found_by_name_and_narrowed_to_the_tokens() {
    for world in worlds() {
        let made = world.by_job(CreateWorkspace { room: world.room.clone(), name: world.name("one") }).await.unwrap();
        world.by_job(CreateWorkspace { room: world.room.clone(), name: world.name("two") }).await.unwrap();
        let again = CreateWorkspace { room: world.room.clone(), name: world.name("one") };
        assert_eq!(world.by_job(again).await.unwrap_err().kind(), Kind::AlreadyExists);
        let name = made.name.clone();
        let id = world.opened.ports.read_point(move |reader| Ok(workspace_by_name(reader, &name)?)).await.unwrap();
        assert_eq!(id, Some(made.id.clone()));
        for (wanted, found) in [(None, true), (Some(made.name.clone()), true), (Some(world.text("two")), false)] {
            let mut attempt = super::attempt(gate::Credential::None);
            attempt.workspace.clone_from(&made.name);
            let get = GetWorkspace { room: world.room.clone(), name: wanted };
            assert_eq!(world.gate.call(attempt, get).await.ok(), found.then(|| made.clone()));
        }
        world.user("ada", Some(PASSWORD)).await;
        let wish = TokenWish { workspace: Some(world.name("one")), ..TokenWish::default() };
        let token = world.mint(world.basic("ada", PASSWORD), wish).await.unwrap();
        let list = || ListWorkspaces { room: world.room.clone(), page: PageWish::default() };
        assert_eq!(world.by(bearer(&token.secret), list()).await.unwrap().rows, [made]);
        assert!(world.by_job(list()).await.unwrap().rows.len() >= 2);
        assert_eq!(Scope::default(), Scope::Nothing, "a policy that says nothing shows nothing");
        let me = world.by(bearer(&token.secret), GetMe { room: world.room.clone() }).await.unwrap();
        assert!(me.has_password && me.kind == CallerKind::User.word());
    }
}
