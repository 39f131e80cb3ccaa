//! What a provisioner may touch, and what ends with an account.

use std::sync::Arc;

use gate::Credential;
use kernel::{Kind, Micros, Problem};
use vault::db::{Reader, Writer};

use super::{PASSWORD, World, bearer, worlds};
use crate::ops::accounts::{CreateService, DisableUser, EnableUser};
use crate::ops::groups::{AddMember, CreateGroup};
use crate::ops::provisioning::{
    ChangeGroup, ChangeUser, CreateProvisionedGroup, CreateProvisionedUser, DeleteProvisionedUser, Entrust, GetProvisionedUser,
    GroupProfile, ListProvisionedUsers, Profile, Provisioned, Wanted,
};
use crate::ops::sessions::CreateSession;
use crate::{Offices, ProvisionedKey, TokenWish};

/// Whoever's id stands here holds an office.
pub(super) struct Holders(parking_lot::Mutex<Vec<String>>);

impl Offices for Holders {
    fn holds_office(&self, _: &mut Reader<'_>, principals: &[String], _: Micros) -> Result<bool, Problem> {
        Ok(principals.iter().any(|one| self.0.lock().contains(one)))
    }

    fn is_administered(&self, reader: &mut Reader<'_>, without: Option<&str>) -> Result<bool, Problem> {
        let sql = "WITH RECURSIVE down (id) AS (
                       SELECT id FROM principal WHERE id = $1
                       UNION
                       SELECT m.member_id FROM membership m JOIN down ON m.group_id = down.id)
                   SELECT p.id FROM principal p JOIN down ON down.id = p.id
                   WHERE p.kind = 'user' AND p.disabled = 0 AND p.id <> $2 LIMIT 1";
        for one in self.0.lock().iter().filter(|one| !one.starts_with(BRIEF)) {
            if reader.query_one(sql, &[one.into(), without.unwrap_or_default().into()], |row| row.text(0))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn hold_administrators(&self, _: &mut Writer<'_>, _: Micros) -> Result<(), Problem> {
        Ok(())
    }

    fn administer_until(&self, _: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem> {
        let all = self.0.lock();
        let of = |one: &String| match one.strip_prefix(BRIEF) {
            Some(id) => (id.to_owned(), at.plus_secs(60)),
            None => (one.clone(), Micros(i64::MAX)),
        };
        Ok(all.iter().map(of).filter(|(id, _)| principals.contains(id)).map(|(_, until)| until).max())
    }

    fn may_administer_until(
        &self,
        reader: &mut Reader<'_>,
        principals: &[String],
        at: Micros,
    ) -> Result<Option<Micros>, Problem> {
        let by_glass = principals.iter().any(|one| self.0.lock().contains(&format!("{GLASS}{one}")));
        if by_glass { Ok(Some(Micros(i64::MAX))) } else { self.administer_until(reader, principals, at) }
    }

    fn held_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem> {
        let is_held = principals.iter().any(|one| self.0.lock().contains(&format!("{HELD}{one}")));
        if is_held { Ok(Some(Micros(i64::MAX))) } else { self.may_administer_until(reader, principals, at) }
    }

    fn broke_glass(&self, _: &mut Reader<'_>, principal: &str, _: Micros) -> Result<bool, Problem> {
        Ok(self.0.lock().contains(&format!("{BROKE}{principal}")))
    }
}

impl Holders {
    pub(super) fn set(&self, all: &[&str]) {
        *self.0.lock() = all.iter().map(|one| (*one).to_owned()).collect();
    }
}

/// Before the id of a holder whose office ends in a minute.
pub(super) const BRIEF: &str = "brief ";
/// Before the id of a holder who may break the glass.
pub(super) const GLASS: &str = "glass ";
/// Before the id of whoever holds a role of data for good.
pub(super) const HELD: &str = "held ";
/// Before the id of a holder who broke it.
pub(super) const BROKE: &str = "broke ";

pub(super) fn holders(world: &World) -> Arc<Holders> {
    let holders = Arc::new(Holders(parking_lot::Mutex::default()));
    world.room.set_offices(Arc::clone(&holders) as _);
    holders
}

async fn directory(world: &World, name: &str) -> Credential {
    let service = world.by_job(CreateService { room: world.room.clone(), name: world.name(name) }).await.unwrap();
    bearer(&world.token_for(&service).await.secret)
}

fn profile(world: &World, name: &str) -> Profile {
    Profile { name: world.name(name), external_id: Some("7".to_owned()), active: true, document: "{\"secretive\":1}".to_owned() }
}

async fn made(world: &World, by: &Credential, name: &str) -> Provisioned {
    let create = CreateProvisionedUser { room: world.room.clone(), profile: profile(world, name) };
    world.by(again(by), create).await.unwrap()
}

fn again(credential: &Credential) -> Credential {
    match credential {
        Credential::Bearer(secret) => bearer(secret),
        _ => Credential::None,
    }
}

fn change(world: &World, id: &str, active: bool) -> ChangeUser {
    let change = move |row: &Provisioned| {
        let name = crate::Name::parse(&row.principal.name)?;
        Ok(Profile { name, external_id: None, active, document: row.document.clone() })
    };
    ChangeUser { room: world.room.clone(), id: id.to_owned(), change: Box::new(change) }
}

#[tokio::test]
async fn what_is_kept_comes_back_and_is_sealed_in_between() {
    for world in worlds() {
        holders(&world);
        let directory = directory(&world, "directory").await;
        let ada = made(&world, &directory, "ada").await;
        assert_eq!((ada.document.as_str(), ada.external_id.as_deref()), ("{\"secretive\":1}", Some("7")));
        let sealed =
            world.opened.system.read(|reader| Ok(reader.query("SELECT sealed FROM provisioned", &[], |row| row.bytes(0))?));
        assert!(sealed.await.unwrap().iter().all(|bytes| !bytes.windows(9).any(|window| window == b"secretive")));
        for (key, count) in [
            (None, 1),
            (Some(ProvisionedKey::Name(ada.principal.name.to_uppercase())), 1),
            (Some(ProvisionedKey::External("7".to_owned())), 1),
            (Some(ProvisionedKey::External("8".to_owned())), 0),
            (Some(ProvisionedKey::Id(ada.principal.id.clone())), 1),
        ] {
            let wanted = Wanted { key, fits: Box::new(|_| true), skip: 0, count: 9 };
            let list = ListProvisionedUsers { room: world.room.clone(), wanted, by_groups: false };
            assert_eq!(world.by(again(&directory), list).await.unwrap().total, count);
        }
    }
}

#[tokio::test]
async fn whoever_is_out_has_nothing_left_and_gets_nothing_back() {
    for world in worlds() {
        holders(&world);
        let directory = directory(&world, "directory").await;
        let ada = made(&world, &directory, "ada").await.principal;
        let token = world.token_for(&ada).await;
        let minted = world.mint(bearer(&token.secret), TokenWish::default()).await.unwrap();
        let create = CreateSession { room: world.room.clone(), replaces: None };
        let session = world.by(bearer(&token.secret), create).await.unwrap();
        world.by(again(&directory), change(&world, &ada.id, false)).await.unwrap();
        let dead = [bearer(&token.secret), bearer(&minted.secret), Credential::Session(session.secret.clone())];
        for credential in dead {
            assert!(world.is_refused(credential).await);
        }
        assert!(!world.by(again(&directory), change(&world, &ada.id, true)).await.unwrap().principal.disabled);
        assert!(world.is_refused(bearer(&token.secret)).await && world.is_refused(bearer(&minted.secret)).await);
        let delete = DeleteProvisionedUser { room: world.room.clone(), id: ada.id.clone(), condition: Box::new(|_| Ok(())) };
        let fresh = world.token_for(&ada).await;
        world.by(again(&directory), delete).await.unwrap();
        assert!(world.is_refused(bearer(&fresh.secret)).await);
    }
}

#[tokio::test]
async fn a_provisioner_lifts_no_bar_but_its_own() {
    for world in worlds() {
        holders(&world);
        let directory = directory(&world, "directory").await;
        let ada = made(&world, &directory, "ada").await.principal;
        let bar = || DisableUser { room: world.room.clone(), user: ada.id.clone() };
        world.by_job(bar()).await.unwrap();
        assert!(world.by(again(&directory), change(&world, &ada.id, true)).await.unwrap().principal.disabled);
        world.by_job(EnableUser { room: world.room.clone(), user: ada.id.clone() }).await.unwrap();
        world.by(again(&directory), change(&world, &ada.id, false)).await.unwrap();
        assert!(!world.by(again(&directory), change(&world, &ada.id, true)).await.unwrap().principal.disabled);
        world.by(again(&directory), change(&world, &ada.id, false)).await.unwrap();
        world.by_job(bar()).await.unwrap();
        assert!(world.by(again(&directory), change(&world, &ada.id, true)).await.unwrap().principal.disabled, "barred by both");
    }
}

#[tokio::test]
async fn a_provisioner_touches_its_own_and_no_office() {
    for world in worlds() {
        let holders = holders(&world);
        let (one, two) = (directory(&world, "one").await, directory(&world, "two").await);
        let (ada, bob) = (made(&world, &one, "ada").await.principal, made(&world, &one, "bob").await.principal);
        let eve = world.user("eve", Some(PASSWORD)).await;
        for (by, id) in [(&two, &ada.id), (&one, &eve.id)] {
            let get = GetProvisionedUser { room: world.room.clone(), id: id.clone() };
            assert_eq!(world.by(again(by), get).await.unwrap_err().kind(), Kind::NotFound);
            assert_eq!(world.by(again(by), change(&world, id, false)).await.unwrap_err().kind(), Kind::NotFound);
        }
        let entrust = |to: Option<&str>| Entrust {
            room: world.room.clone(),
            principal: eve.id.clone(),
            to: to.map(|name| world.text(name)),
        };
        world.by_job(entrust(Some("one"))).await.unwrap();
        world.by(again(&one), change(&world, &eve.id, true)).await.unwrap();
        world.by_job(entrust(None)).await.unwrap();
        assert_eq!(world.by(again(&one), change(&world, &eve.id, false)).await.unwrap_err().kind(), Kind::NotFound);
        // A group above hers holds an office.
        let group = |name: &str| {
            let profile = GroupProfile {
                name: world.name(name),
                external_id: None,
                document: String::new(),
                members: vec![ada.id.clone()],
            };
            CreateProvisionedGroup { room: world.room.clone(), profile }
        };
        let team = world.by(again(&one), group("team")).await.unwrap().principal;
        let bosses = world.by_job(CreateGroup { room: world.room.clone(), name: world.name("bosses") }).await.unwrap();
        world.by_job(AddMember { room: world.room.clone(), group: bosses.id.clone(), member: team.id.clone() }).await.unwrap();
        holders.0.lock().push(bosses.id.clone());
        let add = |row: &Provisioned| {
            let name = crate::Name::parse(&row.principal.name)?;
            Ok(GroupProfile { name, external_id: None, document: String::new(), members: Vec::new() })
        };
        let empty = ChangeGroup { room: world.room.clone(), id: team.id.clone(), change: Box::new(add) };
        assert_eq!(world.by(again(&one), empty).await.unwrap_err().kind(), Kind::Forbidden);
        assert_eq!(world.by(again(&one), change(&world, &ada.id, false)).await.unwrap_err().kind(), Kind::Forbidden);
        assert_eq!(world.by(again(&one), group("other")).await.unwrap_err().kind(), Kind::Forbidden, "nor moves her elsewhere");
        world.by(again(&one), change(&world, &bob.id, false)).await.unwrap();
    }
}
