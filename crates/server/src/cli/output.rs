//! What commands print.

use kernel::Problem;
use serde_json::{Value, json};

use super::client::Client;
use super::table;

/// One page of a list.
const PAGE_ROWS: usize = 500;

/// Prints one thing: its fields in lines, or as JSON.
///
/// # Errors
/// Never; the type fits the callers.
pub fn show(client: &Client, thing: &Value, fields: &[&str]) -> Result<(), Problem> {
    if client.json {
        crate::say!("{thing}");
        return Ok(());
    }
    let width = fields.iter().map(|field| field.len()).max().unwrap_or(0).max(10);
    for field in fields {
        let text = table::cell(thing.get(*field));
        crate::say!("{:<width$}  {text}", field.replace('_', " "));
    }
    Ok(())
}

/// Says that something was done.
///
/// # Errors
/// Never; the type fits the callers.
pub fn done(client: &Client, text: &str) -> Result<(), Problem> {
    crate::say!("{}", if client.json { "{}" } else { text });
    Ok(())
}

/// Prints a list of all pages: a table, or a JSON list.
///
/// # Errors
/// As [`Client::get`].
pub async fn list(client: &mut Client, path: &str, plural: &str, columns: &[&str]) -> Result<(), Problem> {
    list_at_most(client, path, plural, columns, usize::MAX).await
}

/// Prints the first `rows_max` of a list.
///
/// # Errors
/// As [`Client::get`].
pub async fn list_at_most(
    client: &mut Client,
    path: &str,
    plural: &str,
    columns: &[&str],
    rows_max: usize,
) -> Result<(), Problem> {
    let rows = pages(client, path, plural, rows_max).await?;
    print_list(client, &rows, columns);
    Ok(())
}

/// The rows of all pages, `rows_max` at most.
///
/// # Errors
/// As [`Client::get`].
pub async fn pages(client: &mut Client, path: &str, plural: &str, rows_max: usize) -> Result<Vec<Value>, Problem> {
    let mut rows = Vec::new();
    let mut after: Option<String> = None;
    let separator = if path.contains('?') { '&' } else { '?' };
    while rows.len() < rows_max {
        let mut page = format!("{path}{separator}rows={}", PAGE_ROWS.min(rows_max - rows.len()));
        if let Some(after) = &after {
            page.push_str(&format!("&after={}", segment(after)));
        }
        let mut answer = client.get(&page).await?;
        if let Some(Value::Array(more)) = answer.get_mut(plural).map(Value::take) {
            rows.extend(more);
        }
        after = answer.get("next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    Ok(rows)
}

/// Prints rows: a table, or a JSON list.
pub fn print_list(client: &Client, rows: &[Value], columns: &[&str]) {
    if client.json {
        crate::say!("{}", json!(rows));
    } else if rows.is_empty() {
        crate::say!("none");
    } else {
        crate::say!("{}", table::render(rows, columns));
    }
}

/// A name as one segment of a path, or one value of a query.
#[must_use]
pub fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
