//! Groups: all levels are seen, no circle is made, nobody helps themself.

use std::collections::BTreeSet;

use kernel::{Kind, Micros};

use super::provisioning::{BRIEF, GLASS, holders};
use super::{World, bearer, worlds};
use crate::ops::account::GetMe;
use crate::ops::accounts::{CreateService, DeleteUser, DisableUser};
use crate::ops::federation::SettlePerson;
use crate::ops::groups::{AddMember, CreateGroup, DeleteGroup, ListGroups, RemoveMember};
use crate::ops::tokens::CreateTokenFor;
use crate::{PageWish, Principal, TokenWish, store};

async fn group(world: &World, name: &str) -> Principal {
    world.by_job(CreateGroup { room: world.room.clone(), name: world.name(name) }).await.unwrap()
}

fn add(world: &World, group: &Principal, member: &Principal) -> AddMember {
    AddMember { room: world.room.clone(), group: group.id.clone(), member: member.name.clone() }
}

#[tokio::test]
async fn a_caller_has_the_groups_of_every_level() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        let (team, unit, firm) = (group(&world, "team").await, group(&world, "unit").await, group(&world, "firm").await);
        world.who(bearer(&token.secret)).await.unwrap();
        world.by_job(add(&world, &team, &ada)).await.unwrap();
        world.by_job(add(&world, &unit, &team)).await.unwrap();
        world.by_job(add(&world, &firm, &unit)).await.unwrap();
        world.by_job(add(&world, &firm, &ada)).await.unwrap();
        let mut wanted = [team.id.clone(), unit.id.clone(), firm.id.clone()];
        let mut groups = world.who(bearer(&token.secret)).await.unwrap().groups;
        wanted.sort_unstable();
        groups.sort_unstable();
        assert_eq!(groups, wanted);
        let me = world.by(bearer(&token.secret), GetMe { room: world.room.clone() }).await.unwrap();
        assert_eq!(me.groups.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), [&firm.name, &team.name, &unit.name]);
        for (top, below) in [(&team, &firm), (&team, &team), (&unit, &firm)] {
            assert_eq!(world.by_job(add(&world, top, below)).await.unwrap_err().kind(), Kind::Invalid, "a circle");
        }
        let remove = RemoveMember { room: world.room.clone(), group: unit.id.clone(), member: team.id.clone() };
        world.by_job(remove).await.unwrap();
        assert_eq!(world.who(bearer(&token.secret)).await.unwrap().groups.len(), 2);
        world.by_job(DeleteGroup { room: world.room.clone(), group: firm.name }).await.unwrap();
        assert_eq!(world.who(bearer(&token.secret)).await.unwrap().groups, [team.id]);
    }
}

#[tokio::test]
async fn nobody_puts_themself_into_a_group() {
    for world in worlds() {
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let token = world.token_for(&ada).await;
        let (team, firm, other) = (group(&world, "team").await, group(&world, "firm").await, group(&world, "other").await);
        let service = CreateService { room: world.room.clone(), name: world.name("ci") };
        let service = world.by(bearer(&token.secret), service).await.unwrap();
        world.by_job(add(&world, &team, &ada)).await.unwrap();
        world.by_job(add(&world, &other, &service)).await.unwrap();
        for member in [&ada, &service, &team, &other] {
            let refused = world.by(bearer(&token.secret), add(&world, &firm, member)).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Forbidden, "{}", member.name);
        }
        world.by(bearer(&token.secret), add(&world, &firm, &bob)).await.unwrap();
        let page = PageWish { after: Some(world.text("firm").trim_end_matches(char::is_alphanumeric).to_owned()), rows: Some(1) };
        let listed = world.by_job(ListGroups { room: world.room.clone(), page }).await.unwrap();
        assert_eq!(listed.rows.len(), 1);
        let remove = RemoveMember { room: world.room.clone(), group: firm.id.clone(), member: ada.id.clone() };
        assert_eq!(world.by_job(remove).await.unwrap_err().kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn somebody_administers_the_server_whatever_is_taken_away() {
    for world in worlds() {
        let holders = holders(&world);
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let bosses = group(&world, "bosses").await;
        world.by_job(add(&world, &bosses, &ada)).await.unwrap();
        let room = || world.room.clone();
        let out = || RemoveMember { room: room(), group: bosses.id.clone(), member: ada.id.clone() };
        let bar = || DisableUser { room: room(), user: ada.id.clone() };
        for all in [vec![bosses.id.clone()], vec![bosses.id.clone(), format!("{BRIEF}{}", bob.id)]] {
            holders.set(&all.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(world.by_job(out()).await.unwrap_err().kind(), Kind::Conflict);
            assert_eq!(world.by_job(bar()).await.unwrap_err().kind(), Kind::Conflict);
            let delete = DeleteUser { room: room(), user: ada.id.clone() };
            assert_eq!(world.by_job(delete).await.unwrap_err().kind(), Kind::Conflict);
            let delete = DeleteGroup { room: room(), group: bosses.id.clone() };
            assert_eq!(world.by_job(delete).await.unwrap_err().kind(), Kind::Conflict);
        }
        holders.set(&[&bosses.id, &bob.id]);
        world.by_job(bar()).await.unwrap();
        // Now bob is the only one who may come in.
        let bar = DisableUser { room: room(), user: bob.id.clone() };
        assert_eq!(world.by_job(bar).await.unwrap_err().kind(), Kind::Conflict);
        world.by_job(out()).await.unwrap();
        world.by_job(DeleteGroup { room: room(), group: bosses.id.clone() }).await.unwrap();
    }
}

#[tokio::test]
async fn who_administers_for_a_while_puts_nobody_where_it_lasts() {
    for world in worlds() {
        let holders = holders(&world);
        let (ada, bob) = (world.user("ada", None).await, world.user("bob", None).await);
        let token = world.token_for(&ada).await;
        let (bosses, inner, team) = (group(&world, "bosses").await, group(&world, "inner").await, group(&world, "team").await);
        world.by_job(add(&world, &bosses, &inner)).await.unwrap();
        let brief = format!("{BRIEF}{}", ada.id);
        let glass = format!("{GLASS}{}", bosses.id);
        for (office, held, wanted) in [
            (&bosses.id, &brief, Some(Kind::Forbidden)),
            (&glass, &brief, Some(Kind::Forbidden)),
            (&glass, &ada.id, None),
            (&bosses.id, &ada.id, None),
        ] {
            holders.set(&[office, held]);
            for into in [&bosses, &inner] {
                let done = world.by(bearer(&token.secret), add(&world, into, &bob)).await;
                assert_eq!(done.err().map(|problem| problem.kind()), wanted, "{held} {}", into.name);
            }
            world.by(bearer(&token.secret), add(&world, &team, &bob)).await.unwrap();
        }
    }
}

/// Who put somebody into a group, and when.
async fn joined(world: &World, group: &Principal, member: &str) -> Option<(String, Micros)> {
    let (group, member) = (group.id.clone(), member.to_owned());
    world.opened.system.read(move |reader| Ok(store::membership(reader, &group, &member)?)).await.unwrap()
}

/// What the latest change left for the log.
async fn last_outcome(world: &World) -> String {
    let sql = "SELECT payload FROM audit_outbox ORDER BY id DESC LIMIT 1";
    let last = world.opened.system.read(move |reader| Ok(reader.query_one(sql, &[], |row| row.bytes(0))?)).await.unwrap();
    String::from_utf8(last.unwrap()).unwrap()
}

#[tokio::test]
async fn a_providers_rules_leave_the_last_administrator_where_they_are() {
    for world in worlds() {
        let holders = holders(&world);
        let (bosses, heads, team) = (group(&world, "bosses").await, group(&world, "heads").await, group(&world, "team").await);
        let (subject, names) = (world.text("ada"), [&bosses, &heads, &team].map(|group| group.name.clone()));
        let settle = |member: &[&Principal]| {
            let (issuer, ruled) = ("https://company.example".to_owned(), names.to_vec());
            let member = member.iter().map(|group| group.name.clone()).collect();
            world.by_job(SettlePerson {
                room: world.room.clone(),
                issuer,
                subject: subject.clone(),
                name: Some(subject.clone()),
                address: None,
                ruled,
                member,
            })
        };
        let ada = settle(&[&bosses, &team]).await.unwrap();
        let bob = world.user("bob", None).await;
        let token = CreateTokenFor { room: world.room.clone(), principal: ada.clone(), parent: None, wish: TokenWish::default() };
        let token = world.by_job(token).await.unwrap();
        let groups = || async { world.who(bearer(&token.secret)).await.unwrap().groups.into_iter().collect::<BTreeSet<_>>() };
        let all = |groups: &[&Principal]| groups.iter().map(|group| group.id.clone()).collect::<BTreeSet<_>>();

        holders.set(&[&bosses.id]);
        let since = joined(&world, &bosses, &ada).await;
        world.clock.advance_secs(60);
        settle(&[]).await.unwrap();
        assert_eq!(groups().await, all(&[&bosses]), "only what makes her the last administrator stays");
        let outcome = last_outcome(&world).await;
        assert!(outcome.contains("last_administrator_kept_in") && outcome.contains(&bosses.id), "{outcome}");
        assert_eq!(joined(&world, &bosses, &ada).await, since, "the membership is the one that it was");
        // From one group that administers to another, and out of one where somebody else is left.
        holders.set(&[&bosses.id, &heads.id]);
        settle(&[&heads]).await.unwrap();
        assert_eq!(groups().await, all(&[&heads]));
        holders.set(&[&heads.id, &bob.id]);
        settle(&[]).await.unwrap();
        assert_eq!(groups().await, all(&[]));
        assert!(!last_outcome(&world).await.contains("kept_in"));
    }
}
