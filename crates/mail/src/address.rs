//! An address that can stand in a header and in an envelope, and nothing else.

use kernel::Problem;
use lettre::Address as Parsed;

use crate::limits::ADDRESS_BYTES_MAX;

/// An address of mail, such as `ada@example.com`.
///
/// INVARIANT: it is visible ASCII without quotes, spaces or line ends, so that no header and no command can be made of it. Held by `tests`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Parsed);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// `Invalid`, which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong =
            || Problem::invalid("this is no address of mail such as `ada@example.com`, in ASCII and with at most 254 bytes");
        let fits = text.len() <= ADDRESS_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>(),:;[]".contains(&byte))
            && text.bytes().filter(|byte| *byte == b'@').count() == 1;
        if !fits {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }

    /// As it was read.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// Behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// What lists show of it: enough to know it again, not enough to write to.
    #[must_use]
    pub fn masked(&self) -> String {
        let first: String = self.0.user().chars().take(1).collect();
        format!("{first}…@{}", self.0.domain())
    }

    pub(crate) const fn parsed(&self) -> &Parsed {
        &self.0
    }
}

/// It is somebody's: it does not print itself.
impl std::fmt::Debug for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_header_and_no_command_can_be_made_of_an_address() {
        for good in ["ada@example.com", "a.b+c@sub.example.org", "x@localhost", "o'neil@example.com"] {
            assert_eq!(Address::parse(good).unwrap().text(), good);
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example.com\r\nBcc: all@example.com",
            "ada@example.com\nRCPT TO:<x@y>",
            "ada\r@example.com",
            "ada@example.com ",
            "Ada <ada@example.com>",
            "\"a b\"@example.com",
            "a@b@example.com",
            "ada@example.com,bob@example.com",
            "ada@example.com>",
            "ada\0@example.com",
            "ädä@example.com",
            &long,
        ] {
            Address::parse(bad).expect_err(bad);
        }
        assert_eq!(format!("{:?}", Address::parse("ada@example.com").unwrap()), "a…@example.com");
    }
}
