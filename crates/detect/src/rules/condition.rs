//! The condition of a Sigma rule: `or` binds weaker than `and`, that weaker than `not`.

use std::collections::BTreeSet;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Name(String),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

impl Condition {
    /// Reads a condition over these selections. Its length and brackets were bounded before.
    pub(super) fn read(text: &str, names: &BTreeSet<&str>) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut parser = Parser { words: spaced.split_whitespace().collect(), at: 0, names };
        let read = parser.or()?;
        match parser.words.get(parser.at) {
            None => Ok(read),
            Some(word) => Err(format!("`condition`: `{}` is not expected there", super::shown(word))),
        }
    }

    /// Whether it holds, if `name` says which selections do.
    pub(super) fn holds(&self, name: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Name(one) => name(one),
            Self::Not(one) => !one.holds(name),
            Self::And(all) => all.iter().all(|one| one.holds(name)),
            Self::Or(all) => all.iter().any(|one| one.holds(name)),
        }
    }

    /// Whether it holds only where this selection does.
    pub(super) fn needs(&self, name: &str) -> bool {
        match self {
            Self::Name(one) => one == name,
            Self::Not(_) => false,
            Self::And(all) => all.iter().any(|one| one.needs(name)),
            Self::Or(all) => all.iter().all(|one| one.needs(name)),
        }
    }
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
    names: &'a BTreeSet<&'a str>,
}

impl<'a> Parser<'a> {
    fn next_is(&mut self, word: &str) -> bool {
        let is = self.words.get(self.at).is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn or(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.and()?];
        while self.next_is("or") {
            all.push(self.and()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::Or(all) })
    }

    fn and(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.not()?];
        while self.next_is("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::And(all) })
    }

    fn not(&mut self) -> Result<Condition, String> {
        // Not by recursion: there may be as many as the condition has words.
        let mut negated = false;
        while self.next_is("not") {
            negated = !negated;
        }
        let one = self.one()?;
        Ok(if negated { Condition::Not(Box::new(one)) } else { one })
    }

    fn one(&mut self) -> Result<Condition, String> {
        if self.next_is("(") {
            let inner = self.or()?;
            return if self.next_is(")") { Ok(inner) } else { Err("`condition`: a bracket is not closed".to_owned()) };
        }
        let word = self.words.get(self.at).copied().ok_or("`condition` ends too early")?;
        self.at += 1;
        if matches!(word, "1" | "any" | "all") && self.next_is("of") {
            let pattern = self.words.get(self.at).copied().ok_or("`condition`: of what?")?;
            self.at += 1;
            let fits = |name: &&&str| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => pattern == "them" || **name == pattern,
            };
            let found: Vec<Condition> = self.names.iter().filter(fits).map(|name| Condition::Name((*name).to_owned())).collect();
            if found.is_empty() {
                return Err(format!("`condition`: no selection fits `{}`", super::shown(pattern)));
            }
            return Ok(if word == "all" { Condition::And(found) } else { Condition::Or(found) });
        }
        if !self.names.contains(word) {
            return Err(format!("`condition`: `{}` is no selection", super::shown(word)));
        }
        Ok(Condition::Name(word.to_owned()))
    }
}
