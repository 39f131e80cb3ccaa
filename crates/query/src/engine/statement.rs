//! The text of a query becomes one `SELECT`, or is refused before anything is planned.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, ObjectName, Query, SetExpr, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};
use inspection::QUERY_TEXT_BYTES_MAX;

use super::error::QueryError;

/// Words, signs and literals of a query.
const TOKEN_COUNT_MAX: usize = 2_000;
/// Queries and expressions within each other.
const DEPTH_MAX: usize = 40;
/// Tables that a query reads, after each name of a `WITH` is replaced by what it stands for.
const SCAN_COUNT_MAX: usize = 64;

/// Parses the one `SELECT` that `sql` is. With `any_case`, quoted names are lower-case too.
///
/// # Errors
/// `Refused` for anything else than one `SELECT`, and for what is too long, too deep or grows too much; `Plan` for a fault in
/// the text.
pub(crate) fn single_select(sql: &str, any_case: bool) -> Result<Statement, QueryError> {
    if sql.len() > QUERY_TEXT_BYTES_MAX {
        return Err(refused(format!("the query has more than {QUERY_TEXT_BYTES_MAX} bytes; split it")));
    }
    let dialect = GenericDialect {};
    let mut tokens =
        Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| QueryError::Plan(error.to_string()))?;
    tokens.retain(|token| !matches!(&token.token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab)));
    if tokens.len() > TOKEN_COUNT_MAX {
        return Err(refused(format!("the query has more than {TOKEN_COUNT_MAX} words and signs; split it")));
    }
    if any_case {
        for token in &mut tokens {
            if let Token::Word(word) = &mut token.token
                && word.quote_style.is_some()
            {
                word.value = word.value.to_lowercase();
            }
        }
    }
    let parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
    let mut parser = parser;
    let mut statements = parser.parse_statements().map_err(|error| QueryError::Plan(error.to_string()))?;
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
        return Err(refused("write exactly one SELECT".to_owned()));
    };
    let ast::Statement::Query(query) = &statement else {
        return Err(refused("only SELECT is run here".to_owned()));
    };
    let mut check = Check::default();
    if let ControlFlow::Break(why) = query.visit(&mut check) {
        return Err(refused(why));
    }
    if check.total > SCAN_COUNT_MAX {
        return Err(refused(format!(
            "the query reads more than {SCAN_COUNT_MAX} tables, each name of a WITH counted as often as it is used; split it"
        )));
    }
    Ok(Statement::Statement(Box::new(statement)))
}

fn refused(why: String) -> QueryError {
    QueryError::Refused(why)
}

/// Counts what a query grows to: the planner puts the whole query of a `WITH` wherever its name stands, so that twenty lines
/// that each name the one before twice would become a million scans.
#[derive(Default)]
struct Check {
    /// What each name of a `WITH` stands for so far, in scans.
    names: HashMap<String, usize>,
    /// Which queries are those of a `WITH`, by where they lie.
    pending: HashMap<*const Query, String>,
    /// Scans of the queries that are open, outermost first.
    open: Vec<usize>,
    total: usize,
}

impl Visitor for Check {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if !matches!(
            query.body.as_ref(),
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_)
        ) {
            return ControlFlow::Break("only SELECT is run here".to_owned());
        }
        if let Some(with) = &query.with {
            if with.recursive {
                return ControlFlow::Break("WITH RECURSIVE is not run here".to_owned());
            }
            for cte in &with.cte_tables {
                self.pending.insert(std::ptr::from_ref(cte.query.as_ref()), cte.alias.name.value.to_lowercase());
            }
        }
        // A query without a table still takes its place in a plan.
        self.open.push(1);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let scans = self.open.pop().unwrap_or(0);
        if let Some(name) = self.pending.remove(&std::ptr::from_ref(query)) {
            let known = self.names.entry(name).or_insert(0);
            *known = scans.max(*known);
        } else if let Some(outer) = self.open.last_mut() {
            *outer = outer.saturating_add(scans);
        }
        self.total = self.total.max(scans);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let name = relation.0.last().map(|part| part.to_string().trim_matches('"').to_lowercase()).unwrap_or_default();
        let scans = self.names.get(&name).copied().unwrap_or(1);
        if let Some(open) = self.open.last_mut() {
            *open = open.saturating_add(scans);
        }
        ControlFlow::Continue(())
    }
}
