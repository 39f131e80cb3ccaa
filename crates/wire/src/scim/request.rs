//! What requests of this interface have in common.

use ::scim::{Filter, Key, PAGE_ROWS_MAX, Refusal, Select};
use identity::ProvisionedKey;
use kernel::Problem;
use serde_json::{Map, Value};

use super::{CONTENT_TYPE, PREFIX};
use crate::Inbound;
use crate::mlflow::json::check_depth;

/// Rows of a page if nobody says.
const PAGE_ROWS_DEFAULT: usize = 100;

/// What a list is asked for with.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) base: String,
    pub(super) filter: Option<Filter>,
    pub(super) skip: usize,
    pub(super) count: usize,
    pub(super) select: Select,
}

/// Where this interface begins, as the client calls it.
pub(super) fn base(inbound: &Inbound) -> String {
    format!("{}{PREFIX}", inbound.origin())
}

/// The body as an object.
pub(super) fn object(inbound: &Inbound) -> Result<Map<String, Value>, Problem> {
    let kind = inbound.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(CONTENT_TYPE) && !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::InvalidSyntax.problem(format!("the content type is `{CONTENT_TYPE}`")));
    }
    check_depth(&inbound.body).map_err(|problem| Refusal::InvalidSyntax.problem(problem.message()))?;
    match serde_json::from_slice::<Value>(&inbound.body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::InvalidSyntax.problem("the body is a JSON object")),
        Err(error) => Err(Refusal::InvalidSyntax.problem(format!("the body is not valid JSON: {error}"))),
    }
}

/// Which attributes an answer shall have.
pub(super) fn select(inbound: &Inbound) -> Result<Select, Problem> {
    let query = inbound.query()?;
    let get = |name: &str| query.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    Select::read(get("attributes"), get("excludedAttributes"))
}

impl Listed {
    /// Of a query. What is not known is left alone (RFC 7644, section 3.4.2).
    pub(super) fn of_query(inbound: &Inbound) -> Result<Self, Problem> {
        let query = inbound.query()?;
        let get = |name: &str| query.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        Self::read(inbound, get("filter"), (number(get("startIndex"))?, number(get("count"))?), select(inbound)?)
    }

    /// Of a search request (RFC 7644, section 3.4.3).
    pub(super) fn of_body(inbound: &Inbound) -> Result<Self, Problem> {
        let body = object(inbound)?;
        let get = |name: &str| body.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let names = |name: &str| -> Option<String> {
            let all = get(name)?.as_array()?;
            Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        };
        let select = Select::read(names("attributes").as_deref(), names("excludedAttributes").as_deref())?;
        let filter = match get("filter") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.as_str()),
            Some(_) => return Err(Refusal::InvalidFilter.problem("`filter` is a text")),
        };
        let whole = |name: &str| match get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(not_whole),
        };
        Self::read(inbound, filter, (whole("startIndex")?, whole("count")?), select)
    }

    fn read(
        inbound: &Inbound,
        filter: Option<&str>,
        (start, count): (Option<i64>, Option<i64>),
        select: Select,
    ) -> Result<Self, Problem> {
        let filter = filter.filter(|text| !text.is_empty()).map(Filter::parse).transpose()?;
        // Less than 1 counts as 1, less than 0 as 0 (RFC 7644, section 3.4.2.4).
        let skip = usize::try_from(start.unwrap_or(1).max(1) - 1).unwrap_or(usize::MAX);
        let count = count.map_or(PAGE_ROWS_DEFAULT, |count| usize::try_from(count.max(0)).unwrap_or(usize::MAX));
        Ok(Self { base: base(inbound), filter, skip, count: count.min(PAGE_ROWS_MAX), select })
    }

    /// By what rows can be looked up.
    pub(super) fn key(&self) -> Option<ProvisionedKey> {
        self.filter.as_ref().and_then(Filter::key).map(|key| match key {
            Key::Id(id) => ProvisionedKey::Id(id),
            Key::Name(name) => ProvisionedKey::Name(name),
            Key::External(id) => ProvisionedKey::External(id),
        })
    }
}

fn number(text: Option<&str>) -> Result<Option<i64>, Problem> {
    text.map(|text| text.parse().map_err(|_| not_whole())).transpose()
}

fn not_whole() -> Problem {
    Refusal::InvalidValue.problem("`startIndex` and `count` are whole numbers")
}

/// What must hold of a resource's version for it to be changed.
pub(super) fn condition(inbound: &Inbound) -> Option<String> {
    inbound.header("if-match").map(str::to_owned)
}

/// Whether one of the versions in a header is this one.
pub(super) fn names_version(header: &str, version: &str) -> bool {
    header.split(',').map(str::trim).any(|one| one == "*" || one == version)
}

/// Refuses where the resource has changed since.
pub(super) fn check_version(wanted: Option<&str>, version: &str) -> Result<(), Problem> {
    match wanted {
        Some(wanted) if !names_version(wanted, version) => {
            Err(Refusal::Precondition.problem("the resource has changed since; read it again"))
        }
        _ => Ok(()),
    }
}
