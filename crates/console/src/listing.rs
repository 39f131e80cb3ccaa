//! A page that is one table.

use askama::Template;
use data::Which;
use kernel::Problem;
use wire::{Answer, Inbound};

use crate::board::Table;
use crate::page::{page_in, plain_moment};
use crate::query::Query;

/// What stands in place of the rows of a page that is not the first: it does not say that there is nothing.
pub const BEHIND_ITS_END: &str = "The list ends before this page.";

#[derive(Template)]
#[template(path = "listing.html")]
struct ListingTemplate {
    table: Table,
    links: Vec<(&'static str, String)>,
    /// Where the list begins, if the page stands behind its end; empty else.
    beginning: String,
    /// Tables behind it.
    more: Vec<Table>,
}

/// The page.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn listing(workspace: &str, table: Table) -> Result<Answer, Problem> {
    listing_with(workspace, table, Vec::new())
}

/// The page, with links to what belongs to it: names and addresses.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn listing_with(workspace: &str, table: Table, links: Vec<(&'static str, String)>) -> Result<Answer, Problem> {
    listing_of(workspace, table, links, Vec::new())
}

/// The same, with tables behind it.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn listing_of(
    workspace: &str,
    mut table: Table,
    links: Vec<(&'static str, String)>,
    more: Vec<Table>,
) -> Result<Answer, Problem> {
    let beginning = if table.rows.is_empty() { beginning_here() } else { String::new() };
    if !beginning.is_empty() {
        BEHIND_ITS_END.clone_into(&mut table.empty);
    }
    page_in(workspace, &ListingTemplate { table, links, beginning, more })
}

/// Where the list of this page begins, if the page is not its first; empty else.
pub fn beginning_here() -> String {
    beginning(&wire::address_here().unwrap_or_default()).unwrap_or_default()
}

fn beginning(address: &str) -> Option<String> {
    let (path, query) = address.split_once('?')?;
    let place = |pair: &&str| pair.starts_with("after=");
    query.split('&').find(place).filter(|pair| *pair != "after=")?;
    let others: Vec<&str> = query.split('&').filter(|pair| !place(pair)).collect();
    Some(if others.is_empty() { path.to_owned() } else { format!("{path}?{}", others.join("&")) })
}

/// A parameter of the page's address; an empty one is none.
///
/// # Errors
/// `Invalid` for an address that cannot be read.
pub fn asked(inbound: &Inbound, wanted: &str) -> Result<Option<String>, Problem> {
    let found = inbound.query()?.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    Ok(found.filter(|value| !value.is_empty()))
}

/// Where the page begins: the last row of the page before.
///
/// # Errors
/// `Invalid` for an address that cannot be read.
pub fn after(inbound: &Inbound) -> Result<Option<String>, Problem> {
    asked(inbound, "after")
}

/// Lists of the same things in one state each: words and addresses.
pub fn by_state(page: &str) -> Vec<(&'static str, String)> {
    let of = |words, state: &str| (words, format!("{page}?state={state}"));
    vec![
        ("All", page.to_owned()),
        of("Waiting", "quarantined"),
        of("In inspection", "inspecting"),
        of("Let in", "admitted"),
        of("Kept out", "refused"),
    ]
}

/// Which of its things a list was asked for: those in a state, or those whose waiver ends before a moment.
///
/// # Errors
/// `Invalid` for what is no state and no moment.
pub fn which(query: &Query) -> Result<Which, Problem> {
    match query.time("waived_until")? {
        Some(end) => Ok(Which::WaivedUntil(end)),
        None => wire::admin::which(query.text("state")),
    }
}

/// The word behind a title for what a list is narrowed to.
pub fn narrowed(title: &str, which: Which) -> String {
    match which {
        Which::All => title.to_owned(),
        Which::In(state) => format!("{title}: {}", state.word()),
        Which::WaivedUntil(end) => format!("{title}: let in by a waiver that ends before {}", plain_moment(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_behind_the_end_of_a_list_leads_to_its_beginning() {
        for (address, found) in [
            ("/console/data?after=a", Some("/console/data")),
            ("/console/data?state=refused&after=a&workspace=w", Some("/console/data?state=refused&workspace=w")),
            ("/console/data?state=refused", None),
            ("/console/data?after=", None),
            ("/console/data", None),
            ("", None),
        ] {
            assert_eq!(beginning(address).as_deref(), found, "{address}");
        }
    }
}
