//! Filters (RFC 7644, section 3.4.2.2), read into a bounded tree and judged over a resource.
//!
//! ```text
//! or    = and *("or" and)          and = term *("and" term)
//! term  = ["not"] "(" or ")" / path "[" or "]" / path "pr" / path op value
//! ```

use kernel::Problem;
use serde_json::{Map, Value};

use crate::attribute::AttributePath;
use crate::refusal::Refusal;

/// A filter's text.
const TEXT_BYTES_MAX: usize = 4_096;
/// Comparisons in one filter.
const TERM_COUNT_MAX: usize = 64;
/// How deep parentheses nest.
const DEPTH_MAX: usize = 12;

/// What resources are looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// Some value of this list is like that.
    Any(AttributePath, Box<Node>),
    Present(AttributePath),
    Compare(AttributePath, Comparison, Literal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Contains,
    Starts,
    Ends,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Text(String),
    Flag(bool),
    Null,
}

/// What a resource must be to fit, where that can be looked up at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Its id.
    Id(String),
    /// Its name: of a user or a group.
    Name(String),
    /// What the client calls it.
    External(String),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `Invalid` (`invalidFilter`), saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong(&format!("it has more than {TEXT_BYTES_MAX} bytes")));
        }
        let mut parser = Parser { words: words(text)?, at: 0, term_count: 0 };
        let node = parser.or(None, 0)?;
        if parser.at < parser.words.len() {
            return Err(wrong("there is more after its end"));
        }
        Ok(Self(node))
    }

    /// The part of a path in brackets, about the values of `list`.
    pub(crate) fn parse_within(list: AttributePath, text: &str) -> Result<Self, Problem> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong(&format!("it has more than {TEXT_BYTES_MAX} bytes")));
        }
        let mut parser = Parser { words: words(text)?, at: 0, term_count: 0 };
        let node = parser.or(Some(list), 0)?;
        if parser.at < parser.words.len() {
            return Err(wrong("there is more after its end"));
        }
        Ok(Self(node))
    }

    /// Whether a resource fits.
    #[must_use]
    pub fn fits(&self, resource: &Map<String, Value>) -> bool {
        fits(&self.0, resource)
    }

    /// Whether a value of a list fits; the filter was read for that list.
    pub(crate) fn fits_value(&self, list: AttributePath, value: &Value) -> bool {
        let one = Map::from_iter([(list.name.to_owned(), Value::Array(vec![value.clone()]))]);
        fits(&self.0, &one)
    }

    /// The values that an element must have to fit, if it is only equalities: what a patch makes where there is none.
    pub(crate) fn equalities(&self) -> Option<Vec<(&'static str, Value)>> {
        let mut found = Vec::new();
        collect(&self.0, &mut found).then_some(found)
    }

    /// Whether it is about this attribute.
    #[must_use]
    pub fn names(&self, attribute: &str) -> bool {
        names(&self.0, attribute)
    }

    /// By what all that fits can be looked up, where the filter says so.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        key(&self.0)
    }
}

fn collect(node: &Node, found: &mut Vec<(&'static str, Value)>) -> bool {
    match node {
        Node::And(one, other) => collect(one, found) && collect(other, found),
        Node::Compare(path, Comparison::Equal, literal) => {
            let value = match literal {
                Literal::Text(text) => Value::String(text.clone()),
                Literal::Flag(flag) => Value::Bool(*flag),
                Literal::Null => return false,
            };
            found.push((path.part.unwrap_or("value"), value));
            true
        }
        _ => false,
    }
}

fn names(node: &Node, attribute: &str) -> bool {
    match node {
        Node::And(one, other) | Node::Or(one, other) => names(one, attribute) || names(other, attribute),
        Node::Not(one) => names(one, attribute),
        Node::Any(path, _) | Node::Present(path) | Node::Compare(path, ..) => path.name == attribute,
    }
}

fn key(node: &Node) -> Option<Key> {
    match node {
        Node::And(one, other) => key(one).or_else(|| key(other)),
        Node::Compare(AttributePath { name, part: None }, Comparison::Equal, Literal::Text(text)) => match *name {
            "id" => Some(Key::Id(text.clone())),
            "userName" => Some(Key::Name(text.clone())),
            "externalId" => Some(Key::External(text.clone())),
            _ => None,
        },
        _ => None,
    }
}

fn fits(node: &Node, resource: &Map<String, Value>) -> bool {
    match node {
        Node::And(one, other) => fits(one, resource) && fits(other, resource),
        Node::Or(one, other) => fits(one, resource) || fits(other, resource),
        Node::Not(one) => !fits(one, resource),
        Node::Any(path, inner) => {
            let all = resource.get(path.name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            all.iter().any(|value| fits(inner, &Map::from_iter([(path.name.to_owned(), Value::Array(vec![value.clone()]))])))
        }
        Node::Present(path) => path.values(resource).into_iter().any(is_present),
        Node::Compare(path, comparison, literal) => {
            let values = path.values(resource);
            match comparison {
                Comparison::NotEqual => !values.iter().any(|value| compares(path, value, Comparison::Equal, literal)),
                _ if *literal == Literal::Null => values.is_empty() && *comparison == Comparison::Equal,
                _ => values.iter().any(|value| compares(path, value, *comparison, literal)),
            }
        }
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(parts) => !parts.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compares(path: &AttributePath, value: &Value, comparison: Comparison, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::Bool(value), Literal::Flag(flag)) => comparison == Comparison::Equal && value == flag,
        (Value::String(value), Literal::Text(text)) => {
            let (value, text) =
                if path.is_case_exact() { (value.clone(), text.clone()) } else { (value.to_lowercase(), text.to_lowercase()) };
            match comparison {
                Comparison::Equal => value == text,
                Comparison::NotEqual => value != text,
                Comparison::Contains => value.contains(&text),
                Comparison::Starts => value.starts_with(&text),
                Comparison::Ends => value.ends_with(&text),
                // Times are all written alike here, so that they compare as texts do.
                Comparison::Greater => value > text,
                Comparison::GreaterOrEqual => value >= text,
                Comparison::Less => value < text,
                Comparison::LessOrEqual => value <= text,
            }
        }
        _ => false,
    }
}

fn wrong(why: &str) -> Problem {
    Refusal::InvalidFilter.problem(format!("the filter cannot be used: {why}"))
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Bare(String),
    Text(String),
    Sign(char),
}

fn words(text: &str) -> Result<Vec<Word>, Problem> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == ' ' {
            rest = rest.trim_start_matches(' ');
        } else if "()[]".contains(first) {
            found.push(Word::Sign(first));
            rest = rest.get(1..).unwrap_or_default();
        } else if first == '"' {
            let end = end_of_text(rest).ok_or_else(|| wrong("a text has no end"))?;
            let (quoted, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let text: String = serde_json::from_str(quoted).map_err(|_| wrong("a text is not written as JSON writes it"))?;
            found.push(Word::Text(text));
            rest = after;
        } else {
            let end = rest.find([' ', '(', ')', '[', ']', '"']).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            found.push(Word::Bare(word.to_owned()));
            rest = after;
        }
    }
    Ok(found)
}

fn end_of_text(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    term_count: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let is = matches!(self.peek(), Some(Word::Bare(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is);
        is
    }

    fn takes_sign(&mut self, sign: char) -> bool {
        let is = self.peek() == Some(&Word::Sign(sign));
        self.at += usize::from(is);
        is
    }

    fn or(&mut self, within: Option<AttributePath>, depth: usize) -> Result<Node, Problem> {
        if depth > DEPTH_MAX {
            return Err(wrong(&format!("it nests deeper than {DEPTH_MAX} levels")));
        }
        let mut node = self.and(within, depth)?;
        while self.takes("or") {
            node = Node::Or(Box::new(node), Box::new(self.and(within, depth)?));
        }
        Ok(node)
    }

    fn and(&mut self, within: Option<AttributePath>, depth: usize) -> Result<Node, Problem> {
        let mut node = self.term(within, depth)?;
        while self.takes("and") {
            node = Node::And(Box::new(node), Box::new(self.term(within, depth)?));
        }
        Ok(node)
    }

    fn term(&mut self, within: Option<AttributePath>, depth: usize) -> Result<Node, Problem> {
        self.term_count += 1;
        if self.term_count > TERM_COUNT_MAX {
            return Err(wrong(&format!("it has more than {TERM_COUNT_MAX} terms")));
        }
        if self.takes("not") {
            if !self.takes_sign('(') {
                return Err(wrong("after `not` comes a parenthesis"));
            }
            return Ok(Node::Not(Box::new(self.closed(within, depth, ')')?)));
        }
        if self.takes_sign('(') {
            return self.closed(within, depth, ')');
        }
        let path = self.path(within)?;
        if self.takes_sign('[') {
            if within.is_some() || !path.is_list() || path.part.is_some() {
                return Err(wrong("brackets follow a list of values"));
            }
            return Ok(Node::Any(path, Box::new(self.closed(Some(path), depth, ']')?)));
        }
        if self.takes("pr") {
            return Ok(Node::Present(path));
        }
        self.comparison(path)
    }

    fn closed(&mut self, within: Option<AttributePath>, depth: usize, sign: char) -> Result<Node, Problem> {
        let node = self.or(within, depth + 1)?;
        if !self.takes_sign(sign) {
            return Err(wrong(&format!("a `{sign}` is missing")));
        }
        Ok(node)
    }

    fn path(&mut self, within: Option<AttributePath>) -> Result<AttributePath, Problem> {
        let Some(Word::Bare(text)) = self.next() else { return Err(wrong("an attribute is missing")) };
        let full = match within {
            Some(list) => format!("{}.{text}", list.name),
            None => text,
        };
        AttributePath::parse(&full).map_err(|problem| wrong(problem.message()))
    }

    fn comparison(&mut self, path: AttributePath) -> Result<Node, Problem> {
        let Some(Word::Bare(op)) = self.next() else { return Err(wrong("an operator is missing")) };
        let comparison = match op.to_ascii_lowercase().as_str() {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "co" => Comparison::Contains,
            "sw" => Comparison::Starts,
            "ew" => Comparison::Ends,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            _ => return Err(wrong("an operator is eq, ne, co, sw, ew, gt, ge, lt, le or pr")),
        };
        let literal = match self.next() {
            Some(Word::Text(text)) => Literal::Text(text),
            Some(Word::Bare(word)) => match word.to_ascii_lowercase().as_str() {
                "true" => Literal::Flag(true),
                "false" => Literal::Flag(false),
                "null" => Literal::Null,
                _ => return Err(wrong("a value is a text in quotes, true, false or null")),
            },
            _ => return Err(wrong("a value is missing")),
        };
        let is_flag = path.name == "active" || path.part == Some("primary");
        if is_flag && !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            return Err(wrong("what is true or false is neither greater nor less"));
        }
        if path.is_complex() && !path.is_list() {
            return Err(wrong(&format!("`{}` is compared by its parts", path.name)));
        }
        // Old clients of one large provider write it as a text.
        let literal = match literal {
            Literal::Text(text) if is_flag && text.eq_ignore_ascii_case("true") => Literal::Flag(true),
            Literal::Text(text) if is_flag && text.eq_ignore_ascii_case("false") => Literal::Flag(false),
            other => other,
        };
        Ok(Node::Compare(path, comparison, literal))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ada() -> Map<String, Value> {
        let ada = json!({
            "id": "u_1", "externalId": "X7", "userName": "ada", "active": true,
            "name": {"familyName": "Lovelace"},
            "emails": [{"value": "ada@Work.example", "type": "work", "primary": true}, {"value": "a@home.example", "type": "home"}],
            "meta": {"created": "2026-01-01T00:00:00.000000Z"},
        });
        ada.as_object().unwrap().clone()
    }

    #[test]
    fn filters_say_what_the_standard_says() {
        for (text, expected) in [
            ("userName eq \"ADA\"", true),
            ("username Eq \"ada\"", true),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"A\"", true),
            ("externalId eq \"x7\"", false),
            ("externalId eq \"X7\"", true),
            ("name.familyName co \"love\"", true),
            ("displayName pr", false),
            ("name pr and active eq true", true),
            ("active eq \"False\"", false),
            ("not (active eq false)", true),
            ("userName eq \"x\" or userName eq \"y\" and active eq true", false),
            ("(userName eq \"x\" or userName eq \"ada\") and active eq true", true),
            ("emails[type eq \"work\" and value ew \"work.example\"]", true),
            ("emails[type eq \"home\" and primary eq true]", false),
            ("emails co \"home\"", true),
            ("emails.type eq \"other\"", false),
            ("meta.created gt \"2025-12-31T00:00:00Z\"", true),
            ("displayName eq null", true),
            ("displayName ne \"x\"", true),
            ("userName ne \"ada\"", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().fits(&ada()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_and_bounded() {
        let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
        let long = vec!["active eq true"; 70].join(" and ");
        let huge = format!("userName eq \"{}\"", "x".repeat(5_000));
        for bad in [
            "",
            "userName",
            "userName eq",
            "userName eq ada",
            "userName xx \"a\"",
            "userName eq \"a",
            "eq \"a\"",
            "password eq \"x\"",
            "not userName pr",
            "(userName pr",
            "userName pr)",
            "emails[type eq \"work\"",
            "userName[value pr]",
            "active gt true",
            "name eq \"x\"",
            "userName pr userName pr",
            "emails[emails[value pr]]",
            "userName eq \"\\x\"",
            &deep,
            &long,
            &huge,
        ] {
            let problem = Filter::parse(bad).unwrap_err();
            let source = std::error::Error::source(&problem).and_then(|source| source.downcast_ref::<Refusal>());
            assert_eq!(source, Some(&Refusal::InvalidFilter), "{bad}");
        }
    }

    #[test]
    fn a_name_can_be_looked_up() {
        let key = |text: &str| Filter::parse(text).unwrap().key();
        assert_eq!(key("userName eq \"ada\" and active eq true"), Some(Key::Name("ada".to_owned())));
        assert_eq!(key("active eq true and externalId eq \"7\""), Some(Key::External("7".to_owned())));
        assert_eq!(key("userName eq \"ada\" or active eq true"), None);
        assert_eq!(key("not (userName eq \"ada\")"), None);
    }
}
