//! `/Groups`.

use ::scim::{Patch, Select};
use http::{Method, StatusCode};
use identity::Identity;
use identity::ops::groups::GROUP_PAGE_ROWS_MAX;
use identity::ops::provisioning::{
    ChangeGroup, CreateProvisionedGroup, DeleteProvisionedGroup, Found, GetProvisionedGroup, GroupProfile, ListProvisionedGroups,
    Provisioned, Wanted,
};
use kernel::Problem;
use serde_json::Value;

use super::request::{Listed, base, check_version, condition, names_version, object, select};
use super::{nothing, resource, view};
use crate::{Answer, Door, Inbound};

/// Adds the routes of groups.
pub(super) fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let all = move |inbound: &Inbound| Listed::of_query(inbound).map(|listed| (list(&room, &listed), listed));
    door.route_with(Method::GET, "/scim/v2/Groups", all, page);
    let room = identity.clone();
    let search = move |inbound: &Inbound| Listed::of_body(inbound).map(|listed| (list(&room, &listed), listed));
    door.route_with(Method::POST, "/scim/v2/Groups/.search", search, page);
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let profile = view::group_profile(&object(inbound)?)?;
        Ok((CreateProvisionedGroup { room: room.clone(), profile }, Shown::of(inbound, StatusCode::CREATED)?))
    };
    door.route_with(Method::POST, "/scim/v2/Groups", create, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let get = move |inbound: &Inbound| {
        Ok((GetProvisionedGroup { room: room.clone(), id: inbound.path("id").to_owned() }, Shown::of(inbound, StatusCode::OK)?))
    };
    door.route_with(Method::GET, "/scim/v2/Groups/{id}", get, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let replace = move |inbound: &Inbound| {
        let (body, base, wanted) = (object(inbound)?, base(inbound), condition(inbound));
        let change = move |row: &Provisioned| {
            check_version(wanted.as_deref(), &view::version(&view::group(&base, row)))?;
            view::group_profile(&body)
        };
        changed(&room, inbound, Box::new(change))
    };
    door.route_with(Method::PUT, "/scim/v2/Groups/{id}", replace, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let patch = move |inbound: &Inbound| {
        let (patch, base, wanted) = (Patch::read(&object(inbound)?)?, base(inbound), condition(inbound));
        let change = move |row: &Provisioned| {
            let before = view::group(&base, row);
            check_version(wanted.as_deref(), &view::version(&before))?;
            view::group_profile(&patch.apply(&before)?)
        };
        changed(&room, inbound, Box::new(change))
    };
    door.route_with(Method::PATCH, "/scim/v2/Groups/{id}", patch, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let delete = move |inbound: &Inbound| {
        let (base, wanted) = (base(inbound), condition(inbound));
        let holds = move |row: &Provisioned| check_version(wanted.as_deref(), &view::version(&view::group(&base, row)));
        Ok(DeleteProvisionedGroup { room: room.clone(), id: inbound.path("id").to_owned(), condition: Box::new(holds) })
    };
    door.route(Method::DELETE, "/scim/v2/Groups/{id}", delete, |()| nothing(StatusCode::NO_CONTENT));
}

type Change = Box<dyn FnOnce(&Provisioned) -> Result<GroupProfile, Problem> + Send>;

fn changed(room: &Identity, inbound: &Inbound, change: Change) -> Result<(ChangeGroup, Shown), Problem> {
    let verb = ChangeGroup { room: room.clone(), id: inbound.path("id").to_owned(), change };
    Ok((verb, Shown::of(inbound, StatusCode::OK)?))
}

/// Which groups are asked for. Each comes with its members, unless they are left out: then there are fewer of them.
pub(super) fn list(room: &Identity, listed: &Listed) -> ListProvisionedGroups {
    let (filter, base) = (listed.filter.clone(), listed.base.clone());
    let by_members = filter.as_ref().is_some_and(|filter| filter.names("members"));
    let fits = move |row: &Provisioned| filter.as_ref().is_none_or(|filter| filter.fits(&view::group(&base, row)));
    let with_members = listed.select.shows("members");
    let count = if with_members { listed.count.min(GROUP_PAGE_ROWS_MAX) } else { listed.count };
    let wanted = Wanted { key: listed.key(), fits: Box::new(fits), skip: listed.skip, count };
    ListProvisionedGroups { room: room.clone(), wanted, by_members, with_members }
}

fn page(found: Found, listed: Listed) -> Result<Answer, Problem> {
    super::list(found.total, listed.skip + 1, found.rows.iter().map(|row| shown(row, &listed)).collect())
}

/// A group as a list shows it. Its version is that of all of it, so that a list without members has none.
pub(super) fn shown(row: &Provisioned, listed: &Listed) -> Value {
    let resource = view::group(&listed.base, row);
    let resource = if listed.select.shows("members") { view::versioned(resource).0 } else { resource };
    Value::Object(listed.select.of(resource))
}

/// How one group is shown.
struct Shown {
    base: String,
    select: Select,
    status: StatusCode,
    /// The version that the client has already.
    known: Option<String>,
}

impl Shown {
    fn of(inbound: &Inbound, status: StatusCode) -> Result<Self, Problem> {
        let known = inbound.header("if-none-match").filter(|_| inbound.method == Method::GET).map(str::to_owned);
        Ok(Self { base: base(inbound), select: select(inbound)?, status, known })
    }

    fn answer(&self, row: &Provisioned) -> Result<Answer, Problem> {
        let (shown, version) = view::versioned(view::group(&self.base, row));
        if self.known.as_deref().is_some_and(|known| names_version(known, &version)) {
            return nothing(StatusCode::NOT_MODIFIED);
        }
        resource(self.status, Value::Object(self.select.of(shown)), &version)
    }
}
