//! The parameters of a page's address, in order: what a page was asked, and how its links ask for something a little different.

use kernel::{Micros, Problem};
use wire::Inbound;

use crate::board::part;

/// What people type into fields: spaces around it mean nothing. All else is somebody's name for something, and stays as it is.
const TYPED: [&str; 15] = [
    "filter", "who", "what", "outcome", "resource", "from", "to", "text", "subject", "depth", "model", "verb", "endpoint",
    "entry", "part",
];

/// The parameters, without the workspace, which links get by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Those of a request; empty ones are left out.
    ///
    /// # Errors
    /// `Invalid` for an address that cannot be read.
    pub fn of(inbound: &Inbound) -> Result<Self, Problem> {
        Ok(Self::from_pairs(inbound.query()?))
    }

    /// Those of an address, for tests.
    #[cfg(test)]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let read = |(name, value): (String, String)| {
            let value = if TYPED.contains(&name.as_str()) { value.trim().to_owned() } else { value };
            (name, value)
        };
        Self(pairs.into_iter().map(read).filter(|(name, value)| name != "workspace" && !value.is_empty()).collect())
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

    /// The same with as many values of a name as a page can show, and how many were left out.
    #[must_use]
    pub fn first_of(&self, name: &str, count_max: usize) -> (Self, usize) {
        let (mut kept, mut seen_count) = (Vec::with_capacity(self.0.len()), 0_usize);
        for pair in &self.0 {
            seen_count += usize::from(pair.0 == name);
            if pair.0 != name || seen_count <= count_max {
                kept.push(pair.clone());
            }
        }
        (Self(kept), seen_count.saturating_sub(count_max))
    }

    /// A part of a list that is there as a whole, and where the next part is: the parameter `list` says with which row a part begins.
    ///
    /// # Errors
    /// `Invalid` for what is no number of rows.
    pub fn cut<'a, T>(
        &self,
        all: &'a [T],
        (list, row_count): (&'static str, usize),
        page: &str,
    ) -> Result<(&'a [T], Option<String>), Problem> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| Problem::invalid(format!("`{list}` is a number of rows")));
        let from = self.get(list).map(number).transpose()?.unwrap_or(0).min(all.len());
        let until = from.saturating_add(row_count).min(all.len());
        let more = (until < all.len()).then(|| format!("{}#{list}", self.with(list, &until.to_string()).at(page)));
        Ok((all.get(from..until).unwrap_or_default(), more))
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
        let (first, left_out) = query.first_of("column", 1);
        assert_eq!((first.all("column"), first.get("filter").is_some(), left_out), (vec!["x".to_owned()], true, 1));
        assert_eq!(Query::default().at("/p"), "/p");
        let read =
            Query::from_pairs(vec![pair("filter", " a "), pair("key", " loss "), pair("workspace", "w"), pair("to", "  ")]);
        assert_eq!((read.get("filter"), read.get("key"), read.get("to")), (Some("a"), Some(" loss "), None));
    }
}
