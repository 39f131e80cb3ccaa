//! `/Users`.

use ::scim::{Patch, Select};
use http::{Method, StatusCode};
use identity::Identity;
use identity::ops::provisioning::{
    ChangeUser, CreateProvisionedUser, DeleteProvisionedUser, GetProvisionedUser, ListProvisionedUsers, Provisioned, Wanted,
};
use kernel::Problem;
use serde_json::Value;

use super::request::{Listed, base, check_version, condition, names_version, object, select};
use super::{list, nothing, resource, view};
use crate::{Answer, Door, Inbound};

/// Adds the routes of people.
pub(super) fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let all = move |inbound: &Inbound| listed(&room, Listed::of_query(inbound)?);
    door.route_with(Method::GET, "/scim/v2/Users", all, page);
    let room = identity.clone();
    let search = move |inbound: &Inbound| listed(&room, Listed::of_body(inbound)?);
    door.route_with(Method::POST, "/scim/v2/Users/.search", search, page);
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let profile = view::profile(&object(inbound)?, true)?;
        Ok((CreateProvisionedUser { room: room.clone(), profile }, Shown::of(inbound, StatusCode::CREATED)?))
    };
    door.route_with(Method::POST, "/scim/v2/Users", create, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let get = move |inbound: &Inbound| {
        Ok((GetProvisionedUser { room: room.clone(), id: inbound.path("id").to_owned() }, Shown::of(inbound, StatusCode::OK)?))
    };
    door.route_with(Method::GET, "/scim/v2/Users/{id}", get, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let replace = move |inbound: &Inbound| {
        let (body, base, wanted) = (object(inbound)?, base(inbound), condition(inbound));
        let change = move |row: &Provisioned| {
            check_version(wanted.as_deref(), &view::version(&view::user(&base, row)))?;
            // Where nothing is said of it, who is out stays out.
            view::profile(&body, !row.principal.disabled)
        };
        changed(&room, inbound, Box::new(change))
    };
    door.route_with(Method::PUT, "/scim/v2/Users/{id}", replace, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let patch = move |inbound: &Inbound| {
        let (patch, base, wanted) = (Patch::read(&object(inbound)?)?, base(inbound), condition(inbound));
        let change = move |row: &Provisioned| {
            let before = view::user(&base, row);
            check_version(wanted.as_deref(), &view::version(&before))?;
            view::profile(&patch.apply(&before)?, !row.principal.disabled)
        };
        changed(&room, inbound, Box::new(change))
    };
    door.route_with(Method::PATCH, "/scim/v2/Users/{id}", patch, |row, shown: Shown| shown.answer(&row));
    let room = identity.clone();
    let delete = move |inbound: &Inbound| {
        let (base, wanted) = (base(inbound), condition(inbound));
        let holds = move |row: &Provisioned| check_version(wanted.as_deref(), &view::version(&view::user(&base, row)));
        Ok(DeleteProvisionedUser { room: room.clone(), id: inbound.path("id").to_owned(), condition: Box::new(holds) })
    };
    door.route(Method::DELETE, "/scim/v2/Users/{id}", delete, |()| nothing(StatusCode::NO_CONTENT));
}

type Change = Box<dyn FnOnce(&Provisioned) -> Result<identity::ops::provisioning::Profile, Problem> + Send>;

fn changed(room: &Identity, inbound: &Inbound, change: Change) -> Result<(ChangeUser, Shown), Problem> {
    let verb = ChangeUser { room: room.clone(), id: inbound.path("id").to_owned(), change };
    Ok((verb, Shown::of(inbound, StatusCode::OK)?))
}

fn listed(room: &Identity, listed: Listed) -> Result<(ListProvisionedUsers, Listed), Problem> {
    Ok((list_of(room, &listed), listed))
}

/// Which people are asked for.
pub(super) fn list_of(room: &Identity, listed: &Listed) -> ListProvisionedUsers {
    let by_groups = listed.filter.as_ref().is_some_and(|filter| filter.names("groups"));
    ListProvisionedUsers { room: room.clone(), wanted: wanted(listed), by_groups }
}

fn wanted(listed: &Listed) -> Wanted {
    let (filter, base) = (listed.filter.clone(), listed.base.clone());
    let fits = move |row: &Provisioned| filter.as_ref().is_none_or(|filter| filter.fits(&view::user(&base, row)));
    Wanted { key: listed.key(), fits: Box::new(fits), skip: listed.skip, count: listed.count }
}

fn page(found: identity::ops::provisioning::Found, listed: Listed) -> Result<Answer, Problem> {
    list(found.total, listed.skip + 1, found.rows.iter().map(|row| shown(row, &listed)).collect())
}

/// A person as a list shows them.
pub(super) fn shown(row: &Provisioned, listed: &Listed) -> Value {
    let (resource, _) = view::versioned(view::user(&listed.base, row));
    Value::Object(listed.select.of(resource))
}

/// How one person is shown.
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
        let (shown, version) = view::versioned(view::user(&self.base, row));
        if self.known.as_deref().is_some_and(|known| names_version(known, &version)) {
            return nothing(StatusCode::NOT_MODIFIED);
        }
        resource(self.status, Value::Object(self.select.of(shown)), &version)
    }
}
