//! What somebody does who administers the server for some hours ends with that.

use kernel::{Kind, Problem, random_id};

use super::provisioning::{BRIEF, BROKE, HELD, holders};
use super::{bearer, secret, worlds};
use crate::ops::accounts::{CreateService, EnableService, EnableUser};
use crate::ops::factors::ResetFactors;
use crate::ops::federation::LinkUser;
use crate::ops::groups::{AddMember, CreateGroup};
use crate::ops::passwords::SetPassword;
use crate::ops::provisioning::Entrust;
use crate::ops::tokens::CreateTokenFor;
use crate::{Principal, TokenWish};

fn kind<T>(result: Result<T, Problem>) -> Option<Kind> {
    result.err().map(|problem| problem.kind())
}

#[tokio::test]
async fn nobody_opens_an_account_that_holds_more_unless_they_broke_the_glass() {
    for world in worlds() {
        let holders = holders(&world);
        let (ada, bob, eve) = (world.user("ada", None).await, world.user("bob", None).await, world.user("eve", None).await);
        let token = world.token_for(&ada).await;
        let robot = CreateService { room: world.room.clone(), name: world.name("robot") };
        let robot = world.by_job(robot).await.unwrap();
        let open = async |user: &Principal| {
            let (room, password) = (world.room.clone(), secret("kettle moss over eleven"));
            let set = SetPassword { room: room.clone(), user: user.id.clone(), password };
            let set = kind(world.by(bearer(&token.secret), set).await);
            let enable = EnableUser { room: room.clone(), user: user.id.clone() };
            let enabled = kind(world.by(bearer(&token.secret), enable).await);
            let reset = ResetFactors { room: room.clone(), user: user.id.clone() };
            let reset = kind(world.by(bearer(&token.secret), reset).await);
            let (issuer, subject) = ("https://company.example".to_owned(), random_id());
            let link = LinkUser { room: room.clone(), user: user.id.clone(), issuer, subject };
            let linked = kind(world.by(bearer(&token.secret), link).await);
            let enable = EnableService { room, service: robot.id.clone() };
            [set, enabled, reset, linked, kind(world.by(bearer(&token.secret), enable).await)]
        };
        let (brief, broke) = (format!("{BRIEF}{}", ada.id), format!("{BROKE}{}", ada.id));
        let held = [&bob, &robot].map(|who| format!("{HELD}{}", who.id));
        holders.set(&[&brief, &held[0], &held[1]]);
        let no = Some(Kind::Forbidden);
        assert_eq!(open(&bob).await, [no; 5]);
        assert_eq!(open(&eve).await, [None, None, None, None, no], "who holds nothing is helped");
        assert_eq!(open(&eve).await, [no; 5], "now a provider speaks for them");
        holders.set(&[&brief, &broke, &held[0], &held[1]]);
        assert_eq!(open(&bob).await, [None, None, None, no, None], "a link stays, and nobody sees it");
        holders.set(&[&ada.id, &held[0], &held[1]]);
        assert_eq!(open(&bob).await, [None; 5]);
    }
}

#[tokio::test]
async fn what_was_minted_for_a_service_account_by_an_office_ends_with_it() {
    for world in worlds() {
        let holders = holders(&world);
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        let robot = CreateService { room: world.room.clone(), name: world.name("robot") };
        let robot = world.by(bearer(&token.secret), robot).await.unwrap();
        let mint = async |lifetime_s: Option<i64>| {
            let wish = TokenWish { lifetime_s, ..TokenWish::default() };
            let create = CreateTokenFor { room: world.room.clone(), principal: robot.id.clone(), parent: None, wish };
            world.by(bearer(&token.secret), create).await
        };
        holders.set(&[&format!("{BRIEF}{}", ada.id)]);
        let minted = mint(None).await.unwrap().token;
        assert_eq!(minted.expires_at, minted.created_at.plus_secs(60));
        assert_eq!(mint(Some(60)).await.unwrap().token.expires_at, minted.expires_at);
        assert_eq!(kind(mint(Some(61)).await), Some(Kind::Forbidden));
        // One's own token opens nothing that one does not hold by oneself.
        let own = world.mint(bearer(&token.secret), TokenWish::default()).await.unwrap().token;
        assert!(own.expires_at > minted.expires_at);
        holders.set(&[&ada.id]);
        mint(Some(61)).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_is_put_into_a_group_that_holds_more_nor_is_it_handed_to_a_directory() {
    for world in worlds() {
        let holders = holders(&world);
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let token = world.token_for(&ada).await;
        let group = async |name: &str| {
            let create = CreateGroup { room: world.room.clone(), name: world.name(name) };
            world.by_job(create).await.unwrap()
        };
        let (readers, inner, empty) = (group("readers").await, group("inner").await, group("empty").await);
        let add = |group: &Principal, member: &Principal| AddMember {
            room: world.room.clone(),
            group: group.id.clone(),
            member: member.id.clone(),
        };
        world.by_job(add(&readers, &inner)).await.unwrap();
        let directory = CreateService { room: world.room.clone(), name: world.name("directory") };
        let directory = world.by_job(directory).await.unwrap();
        let entrust = |group: &Principal, to: Option<&Principal>| Entrust {
            room: world.room.clone(),
            principal: group.id.clone(),
            to: to.map(|to| to.id.clone()),
        };
        let held = format!("{HELD}{}", readers.id);
        for (office, wanted) in [(format!("{BRIEF}{}", ada.id), Some(Kind::Forbidden)), (ada.id.clone(), None)] {
            holders.set(&[&office, &held]);
            for into in [&readers, &inner] {
                assert_eq!(kind(world.by(bearer(&token.secret), add(into, &bob)).await), wanted, "{office} {}", into.name);
                assert_eq!(kind(world.by(bearer(&token.secret), entrust(into, Some(&directory))).await), wanted, "{office}");
                world.by(bearer(&token.secret), entrust(into, None)).await.unwrap();
            }
            world.by(bearer(&token.secret), add(&empty, &bob)).await.unwrap();
        }
    }
}
