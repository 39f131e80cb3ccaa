//! The parameters of a page's address, in order: what a page was asked, and how its links ask for something a little different.

use kernel::{Micros, Problem};
use wire::Inbound;

use crate::board::part;

/// The parameters, without the workspace, which links get by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Those of a request; empty ones are left out.
    ///
    /// # Errors
    /// `Invalid` for an address that cannot be read.
    pub fn of(inbound: &Inbound) -> Result<Self, Problem> {
        let all = inbound.query()?.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Ok(Self(all.filter(|(name, value)| name != "workspace" && !value.is_empty()).collect()))
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// The first value of a name, to keep.
    #[must_use]
    pub fn text(&self, wanted: &str) -> Option<String> {
        self.get(wanted).map(str::to_owned)
    }

    /// A moment that was asked for.
    ///
    /// # Errors
    /// `Invalid` for what is no RFC 3339 text.
    pub fn time(&self, wanted: &str) -> Result<Option<Micros>, Problem> {
        self.get(wanted).map(|text| wire::parse_time(wanted, text)).transpose()
    }

    /// All values of a name.
    #[must_use]
    pub fn all(&self, wanted: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    }

    /// The same without a name.
    #[must_use]
    pub fn without(&self, unwanted: &str) -> Self {
        Self(self.0.iter().filter(|(name, _)| name != unwanted).cloned().collect())
    }

    /// The same with one value for a name.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.without(name);
        changed.0.push((name.to_owned(), value.to_owned()));
        changed
    }

    /// An address that asks for it.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{}={}", part(name), part(value))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_changes_one_thing() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query = Query(vec![pair("filter", "metrics.a > 1"), pair("column", "x"), pair("column", "y")]);
        assert_eq!(query.at("/p"), "/p?filter=metrics%2Ea%20%3E%201&column=x&column=y");
        assert_eq!(query.with("column", "z&").without("filter").at("/p"), "/p?column=z%26");
        assert_eq!(query.all("column"), ["x", "y"]);
        assert_eq!(Query::default().at("/p"), "/p");
    }
}
