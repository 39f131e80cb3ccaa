//! What the administrative interface's requests and answers have in common: bodies and pages.

use data::Which;
use gate::DataState;
use identity::PageWish;
use kernel::Problem;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mlflow::json::Fields;
use crate::{Answer, Inbound, outbound};

/// The body as `T`, which names every field there is: an unknown one is refused. An empty body counts as `{}`.
pub(crate) fn body<T: DeserializeOwned>(inbound: &Inbound) -> Result<T, Problem> {
    // Checks the content type and the depth.
    Fields::of(inbound)?;
    let empty = inbound.body.iter().all(u8::is_ascii_whitespace);
    let bytes: &[u8] = if empty { b"{}" } else { &inbound.body };
    serde_json::from_slice(bytes).map_err(|error| Problem::invalid(format!("the body does not fit: {error}")))
}

/// `?after=…&rows=…`, and the values of `others` in their order. Any other parameter is refused.
pub(crate) fn query<const N: usize>(inbound: &Inbound, others: [&str; N]) -> Result<(PageWish, [Option<String>; N]), Problem> {
    let mut page = PageWish::default();
    let values = parameters(inbound, others, |name, value| match name {
        "after" => {
            page.after = Some(value.to_owned());
            Ok(true)
        }
        "rows" => {
            let rows = value.parse().ok().filter(|rows| (1..=identity::PAGE_ROWS_MAX).contains(rows));
            let wrong = || Problem::invalid(format!("`rows` is a number from 1 to {}", identity::PAGE_ROWS_MAX));
            page.rows = Some(rows.ok_or_else(wrong)?);
            Ok(true)
        }
        _ => Ok(false),
    })?;
    Ok((page, values))
}

/// The values of these parameters in their order. Any other parameter is refused.
pub(crate) fn only<const N: usize>(inbound: &Inbound, names: [&str; N]) -> Result<[Option<String>; N], Problem> {
    parameters(inbound, names, |_, _| Ok(false))
}

fn parameters<const N: usize>(
    inbound: &Inbound,
    names: [&str; N],
    mut take: impl FnMut(&str, &str) -> Result<bool, Problem>,
) -> Result<[Option<String>; N], Problem> {
    let mut values = [const { None }; N];
    for (name, value) in inbound.query()? {
        if let Some(place) = names.iter().position(|known| *known == name).and_then(|at| values.get_mut(at)) {
            *place = Some(value);
        } else if !take(&name, &value)? {
            let unknown: String = name.chars().take(64).collect();
            return Err(Problem::invalid(format!("the parameter `{unknown}` is not known here")));
        }
    }
    Ok(values)
}

/// What a list is narrowed to by the word of a state; all without one.
///
/// # Errors
/// `Invalid` for a word that is no state's.
pub fn which(state: Option<String>) -> Result<Which, Problem> {
    let Some(word) = state.filter(|word| !word.is_empty()) else { return Ok(Which::All) };
    let known = DataState::parse(&word).filter(|state| *state != DataState::Open);
    known.map(Which::In).ok_or_else(|| Problem::invalid("`state` is `quarantined`, `inspecting`, `admitted` or `refused`"))
}

/// The order of a list, as `order` asks for it: the newest first, or the gravest.
///
/// # Errors
/// `Invalid` for another word.
pub fn is_gravest_first(order: Option<&str>) -> Result<bool, Problem> {
    match order {
        None | Some("newest") => Ok(false),
        Some("gravest") => Ok(true),
        Some(_) => Err(Problem::invalid("`order` is `newest` or `gravest`")),
    }
}

/// `{"<plural>": […], "next": "…"}`; without `next` at the end.
pub(crate) fn list<T>(plural: &str, rows: &[T], next: Option<&str>, show: impl Fn(&T) -> Value) -> Result<Answer, Problem> {
    let mut answer = json!({ plural: rows.iter().map(show).collect::<Vec<_>>() });
    if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
        fields.insert("next".to_owned(), Value::String(next.to_owned()));
    }
    outbound::json(&answer)
}

/// The answer where there is nothing to say.
pub(crate) fn nothing() -> Result<Answer, Problem> {
    outbound::json_text("{}")
}
