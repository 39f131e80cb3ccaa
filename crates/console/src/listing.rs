//! A page that is one table.

use askama::Template;
use kernel::Problem;
use wire::Answer;

use crate::board::Table;
use crate::page::page;

#[derive(Template)]
#[template(path = "listing.html")]
struct ListingTemplate {
    table: Table,
}

/// The page.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn listing(table: Table) -> Result<Answer, Problem> {
    page(&ListingTemplate { table })
}
