//! The body of a page's form (`application/x-www-form-urlencoded`).

use kernel::Problem;

use crate::inbound::decode;

/// Fields of one form.
const FIELD_COUNT_MAX: usize = 64;

/// A form's fields, decoded once.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body.
    ///
    /// # Errors
    /// `Invalid` for too many fields, a field that comes twice, or a broken encoding.
    pub fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(bytes).map_err(|_| Problem::invalid("the form is not valid UTF-8"))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            if fields.len() >= FIELD_COUNT_MAX || fields.iter().any(|(known, _)| *known == name) {
                return Err(Problem::invalid("the form has too many fields, or one of them twice"));
            }
            fields.push((name, decode(value)?));
        }
        Ok(Self(fields))
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What follows `prefix` in the names of the fields that begin with it: the boxes of a list that were ticked.
    pub fn ticked<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |(name, _)| name.strip_prefix(prefix))
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// `Invalid`, naming it.
    pub fn need(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::invalid(format!("the form has no field `{name}`")))
    }

    /// Whether the box beside what is grave was ticked: nothing of that kind happens by one click.
    ///
    /// # Errors
    /// `Invalid`: nothing was done.
    pub fn sure(&self) -> Result<(), Problem> {
        match self.get("sure") {
            Some("yes") => Ok(()),
            _ => Err(Problem::invalid("tick that you mean it: nothing was done")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_come_once() {
        let form = Form::read(b"name=a+b%26c&empty=&flag").unwrap();
        assert_eq!(
            (form.get("name"), form.get("empty"), form.get("flag"), form.get("x")),
            (Some("a b&c"), Some(""), Some(""), None)
        );
        assert!(Form::read(b"a=1&a=2").is_err());
        assert!(Form::read(b"a=%ff").is_err());
        assert!(Form::read(b"sure=yes").unwrap().sure().is_ok());
        for unsure in [&b""[..], b"sure=", b"sure=no"] {
            assert!(Form::read(unsure).unwrap().sure().is_err());
        }
        assert!(Form::read("x&".repeat(100).as_bytes()).is_err());
    }
}
