//! The name of a data version, as gate files write it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of a data set: `NAME@NUMBER`. Only numbers: what a model is judged on must not change under its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataName {
    /// The data set.
    pub dataset: String,
    /// The version.
    pub number: u32,
}

impl fmt::Display for DataName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.dataset, self.number)
    }
}

impl TryFrom<String> for DataName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = text.rsplit_once('@').and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
        match found {
            Some((name, number)) if number > 0 && !name.is_empty() && name.len() <= 256 => {
                Ok(Self { dataset: name.to_owned(), number })
            }
            _ => Err(format!("`{}` is no data version: write NAME@NUMBER", text.chars().take(80).collect::<String>())),
        }
    }
}

impl From<DataName> for String {
    fn from(name: DataName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_versions_are_names() {
        let name = DataName::try_from("cells-test@3".to_owned()).unwrap();
        assert_eq!((name.dataset.as_str(), name.number, name.to_string().as_str()), ("cells-test", 3, "cells-test@3"));
        for bad in ["", "cells", "cells@", "cells@latest", "cells@0", "@1", "cells@-1"] {
            assert!(DataName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
