//! Where the next page begins of a list that is ordered by moment and id.

use std::fmt;

use crate::{Micros, Problem};

/// The last row of a page. As a text it is `MICROS/ID`, with which the next page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The row's moment.
    pub at: Micros,
    /// Its id.
    pub id: String,
}

impl Cursor {
    /// Reads what a client gives back.
    ///
    /// # Errors
    /// `Invalid` for what no page gave.
    pub fn read(after: &str) -> Result<Self, Problem> {
        let read = || {
            let (at, id) = after.split_once('/')?;
            // No database that rooms run on is asked for a text with a zero byte.
            (!id.contains('\0')).then_some(Self { at: Micros(at.parse().ok()?), id: id.to_owned() })
        };
        read().ok_or_else(|| Problem::invalid("`after` is what the page before gave as `next`"))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.at.0, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_gave_is_read_and_nothing_else() {
        let cursor = Cursor { at: Micros(-7), id: "a/b".to_owned() };
        assert_eq!(Cursor::read(&cursor.to_string()).unwrap(), cursor);
        for bad in ["", "7", "x/a", "7.a", "9223372036854775808/a", "7/a\0"] {
            assert!(Cursor::read(bad).is_err(), "{bad:?}");
        }
    }
}
