//! A directory elsewhere looks after accounts and groups here, by a service account of its own (its *provisioner*). It sees and changes what
//! it made or was entrusted with, and nothing else: never an account or a group that holds an office, whatever way that came.

mod entrust;
mod groups;
mod users;

pub use entrust::{Describe, Entrust, PROVISIONING_DESCRIBE, PROVISIONING_ENTRUST};
pub use groups::{
    ChangeGroup, CreateProvisionedGroup, DeleteProvisionedGroup, GetProvisionedGroup, ListProvisionedGroups,
    PROVISIONING_CHANGE_GROUP, PROVISIONING_CREATE_GROUP, PROVISIONING_DELETE_GROUP, PROVISIONING_GET_GROUP,
    PROVISIONING_LIST_GROUPS,
};
pub use users::{
    ChangeUser, CreateProvisionedUser, DeleteProvisionedUser, GetProvisionedUser, ListProvisionedUsers, PROVISIONING_CHANGE_USER,
    PROVISIONING_CREATE_USER, PROVISIONING_DELETE_USER, PROVISIONING_GET_USER, PROVISIONING_LIST_USERS,
};

use kernel::{Kind, Micros, Problem};
use vault::db::Reader;

use crate::store::{self, PROVISIONED_PAGE_ROWS, ProvisionedKey, ProvisionedRow};
use crate::types::{Name, Principal, PrincipalKind};
use crate::{Identity, Inner, Offices};

/// What is kept of a person or group beside its account.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// What a provisioner calls somebody.
const EXTERNAL_ID_BYTES_MAX: usize = 512;

/// An account or a group that the caller looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// The account or group.
    pub principal: Principal,
    /// What the provisioner calls it.
    pub external_id: Option<String>,
    /// What it said of it; empty where it said nothing yet.
    pub document: String,
    /// When it last said something.
    pub changed_at: Micros,
    /// Groups that it is in, of those that the provisioner looks after.
    pub groups: Vec<Principal>,
    /// Members of a group, of those that the provisioner looks after.
    pub members: Vec<Principal>,
}

/// What a person's account shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What they log in as.
    pub name: Name,
    /// What the provisioner calls them.
    pub external_id: Option<String>,
    /// Whether they may come in.
    pub active: bool,
    /// What is kept of them.
    pub document: String,
}

/// What a group shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupProfile {
    /// Its name.
    pub name: Name,
    /// What the provisioner calls it.
    pub external_id: Option<String>,
    /// What is kept of it.
    pub document: String,
    /// Its members, by id: of those that the provisioner looks after.
    pub members: Vec<String>,
}

/// Which of a list to give.
pub struct Wanted {
    /// By what all of them can be looked up, if that is known.
    pub key: Option<ProvisionedKey>,
    /// Which of those.
    pub fits: Box<dyn Fn(&Provisioned) -> bool + Send>,
    /// How many to leave out at the beginning.
    pub skip: usize,
    /// How many to give at most.
    pub count: usize,
}

/// Some rows, and how many there are in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many fit.
    pub total: usize,
    /// Those asked for.
    pub rows: Vec<Provisioned>,
}

fn not_found(kind: PrincipalKind) -> Problem {
    Problem::not_found(format!("there is no {} of this id that you look after", kind.word()))
}

fn checked(external_id: Option<&str>, document: &str) -> Result<(), Problem> {
    let fits = external_id.is_none_or(|id| id.len() <= EXTERNAL_ID_BYTES_MAX) && document.len() <= DOCUMENT_BYTES_MAX;
    if fits {
        return Ok(());
    }
    let message = format!("an external id has at most {EXTERNAL_ID_BYTES_MAX} bytes, and all of it at most {DOCUMENT_BYTES_MAX}");
    Err(Problem::new(Kind::TooLarge, message))
}

fn purpose(id: &str) -> String {
    format!("profile of {id}")
}

impl Identity {
    /// What the directory that looks after an account says of it, as JSON; none if nothing does.
    ///
    /// # Errors
    /// `Internal` if it cannot be opened.
    pub fn profile(&self, reader: &mut Reader<'_>, id: &str) -> Result<Option<String>, Problem> {
        let sealed = store::sealed_profile(reader, id)?.filter(|sealed| !sealed.is_empty());
        let text = |sealed: Vec<u8>| {
            let found = self.inner.sealer.open(&purpose(id), &sealed);
            let text = found.as_ref().and_then(kernel::Secret::expose_text).map(str::to_owned);
            text.ok_or_else(|| Problem::new(Kind::Internal, "what is kept of an account cannot be opened"))
        };
        sealed.map(text).transpose()
    }
}

fn opened(inner: &Inner, row: ProvisionedRow) -> Result<Provisioned, Problem> {
    let document = if row.sealed.is_empty() {
        String::new()
    } else {
        let found = inner.sealer.open(&purpose(&row.principal.id), &row.sealed);
        let text = found.as_ref().and_then(kernel::Secret::expose_text).map(str::to_owned);
        text.ok_or_else(|| Problem::new(Kind::Internal, "what is kept of an account cannot be opened"))?
    };
    Ok(Provisioned {
        principal: row.principal,
        external_id: row.external_id,
        document,
        changed_at: row.changed_at,
        groups: Vec::new(),
        members: Vec::new(),
    })
}

/// Reads groups or members of a row.
type More<'m> = &'m dyn Fn(&mut Reader<'_>, &mut Provisioned) -> Result<(), Problem>;

/// What is wanted of all that the caller looks after, a bounded part of it in memory at a time. `more` is read of each row where it decides
/// which of them fit, else where it is shown, of those that are.
fn found(
    reader: &mut Reader<'_>,
    inner: &Inner,
    (by, kind): (&str, PrincipalKind),
    wanted: Wanted,
    (decides, is_shown, more): (bool, bool, More<'_>),
) -> Result<Found, Problem> {
    let Wanted { key, fits, skip, count } = wanted;
    let (mut found, mut after) = (Found { total: 0, rows: Vec::new() }, String::new());
    loop {
        let rows = store::next_provisioned(reader, by, kind, key.as_ref(), &after)?;
        let is_last = rows.len() < PROVISIONED_PAGE_ROWS;
        if let Some(last) = rows.last() {
            after.clone_from(&last.principal.name);
        }
        for row in rows {
            let mut one = opened(inner, row)?;
            if decides {
                more(reader, &mut one)?;
            }
            if !fits(&one) {
                continue;
            }
            if found.total >= skip && found.rows.len() < count {
                if is_shown && !decides {
                    more(reader, &mut one)?;
                }
                found.rows.push(one);
            }
            found.total += 1;
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// The one of this id, with its groups and members, if the caller looks after it.
fn looked_after(reader: &mut Reader<'_>, inner: &Inner, by: &str, kind: PrincipalKind, id: &str) -> Result<Provisioned, Problem> {
    let row = store::provisioned(reader, by, kind, id)?.ok_or_else(|| not_found(kind))?;
    let mut found = opened(inner, row)?;
    found.groups = store::provisioned_groups(reader, id, by)?;
    if kind == PrincipalKind::Group {
        found.members = store::provisioned_members(reader, id, by)?;
    }
    Ok(found)
}

/// Refuses where one of these, or a group above them, holds an office: a provisioner neither changes nor makes administrators.
fn no_office(reader: &mut Reader<'_>, offices: &dyn Offices, ids: &[&str], at: Micros) -> Result<(), Problem> {
    let mut all: Vec<String> = Vec::new();
    for id in ids {
        all.push((*id).to_owned());
        all.extend(store::groups_of(reader, id)?);
    }
    all.sort_unstable();
    all.dedup();
    if offices.holds_office(reader, &all, at)? {
        return Err(Problem::forbidden(
            "Permission denied. It holds a role of an office, by itself or by a group: an administrator changes it, no provisioner does.",
        ));
    }
    Ok(())
}
