//! The type of an array's items, as NumPy writes it: a code, or a list of fields. Only exact codes are taken: NumPy knows
//! more spellings, such as `object`, which it never writes.

/// Fields in fields.
const DEPTH_MAX: usize = 32;

/// What an array is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items {
    /// Plain data: bytes of one item.
    Bytes(u64),
    /// Python objects, at least among others: the data is a pickle.
    Objects,
}

/// A Python literal, read from front to back. Blanks between its parts do not count.
pub(super) struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.trim_start_matches(' ').is_empty()
    }

    /// Passes over a part, if it is next.
    pub fn take(&mut self, part: &str) -> Option<()> {
        self.rest = self.rest.trim_start_matches(' ').strip_prefix(part)?;
        Some(())
    }

    /// A type: a code, or a list of fields.
    pub fn items(&mut self, depth: usize) -> Option<Items> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.take("[").is_none() {
            return code(self.text()?);
        }
        let mut sum = Some(0_u64);
        while self.take("]").is_none() {
            match self.field(depth)? {
                Items::Objects => sum = None,
                Items::Bytes(bytes) => {
                    sum = match sum {
                        Some(sum) => Some(sum.checked_add(bytes)?),
                        None => None,
                    };
                }
            }
            if self.take(",").is_none() {
                self.take("]")?;
                break;
            }
        }
        Some(sum.map_or(Items::Objects, Items::Bytes))
    }

    /// `(name, type)` or `(name, type, shape)`; the name may be a pair of a title and a name.
    fn field(&mut self, depth: usize) -> Option<Items> {
        self.take("(")?;
        if self.take("(").is_some() {
            self.text()?;
            self.take(",")?;
            self.text()?;
            self.take(")")?;
        } else {
            self.text()?;
        }
        self.take(",")?;
        let items = self.items(depth + 1)?;
        let count = if self.take(",").is_some() { self.product()? } else { 1 };
        self.take(")")?;
        match items {
            Items::Objects => Some(Items::Objects),
            Items::Bytes(bytes) => bytes.checked_mul(count).map(Items::Bytes),
        }
    }

    /// A tuple of lengths; their product.
    pub fn product(&mut self) -> Option<u64> {
        self.take("(")?;
        let mut product = 1_u64;
        while self.take(")").is_none() {
            self.rest = self.rest.trim_start_matches(' ');
            let end = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at_checked(end)?;
            product = product.checked_mul(digits.parse().ok()?)?;
            // Python 2 wrote long numbers so.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if self.take(",").is_none() {
                self.take(")")?;
                break;
            }
        }
        Some(product)
    }

    /// A text without escapes, in either kind of quotes.
    fn text(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches(' ');
        let quote = self.rest.chars().next().filter(|letter| matches!(letter, '\'' | '"'))?;
        let (text, rest) = self.rest.strip_prefix(quote)?.split_once(quote)?;
        self.rest = rest;
        text.chars().all(|letter| letter != '\\' && !letter.is_control()).then_some(text)
    }
}

/// `<f8` and the like: order, kind, size and, for times, a unit.
fn code(code: &str) -> Option<Items> {
    let code = code.strip_prefix(['<', '>', '|', '=']).unwrap_or(code);
    let (kind, size) = code.split_at_checked(1)?;
    if kind == "O" {
        // Old versions wrote the size of a pointer.
        return matches!(size, "" | "4" | "8").then_some(Items::Objects);
    }
    let (size, unit) = match size.split_once('[') {
        Some((size, unit)) => (size, Some(unit.strip_suffix(']')?)),
        None => (size, None),
    };
    let is_time = matches!(kind, "M" | "m");
    if unit.is_some_and(|unit| !is_time || !unit.chars().all(|letter| letter.is_ascii_alphanumeric())) {
        return None;
    }
    if size.is_empty() || !size.chars().all(|letter| letter.is_ascii_digit()) {
        return None;
    }
    let size = size.parse::<u64>().ok()?;
    match kind {
        "b" | "i" | "u" | "f" | "c" | "S" | "V" | "M" | "m" => Some(Items::Bytes(size)),
        "U" => size.checked_mul(4).map(Items::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Items> {
        let mut literal = Literal::new(text);
        literal.items(0).filter(|_| literal.is_at_end())
    }

    #[test]
    fn types_are_known_by_their_exact_codes() {
        for (text, bytes) in [
            ("'<U3'", 12),
            ("'<M8[ns]'", 8),
            ("'|b1'", 1),
            ("[('a', '<f8'), ('b', '|S3')]", 11),
            ("[('a', '<f8', (2, 3)), ('', '|V4'), ('b', [('c', '<i2')])]", 54),
            ("[((\"it's\", 'x'), '<i4')]", 4),
        ] {
            assert_eq!(check(text), Some(Items::Bytes(bytes)), "{text}");
        }
        for text in ["'|O'", "'|O8'", "[('a', '<f8'), ('b', '|O')]", "[('a', [('b', 'O')], (2,))]"] {
            assert_eq!(check(text), Some(Items::Objects), "{text}");
        }
        for text in [
            "'object'",
            "[('a', 'object')]",
            r"'|\x4f'",
            r"[('a', '|\x4f')]",
            "[('a', 'O,i4')]",
            "'<i4,O'",
            "'f'",
            "'<f+8'",
            "f()",
        ] {
            assert_eq!(check(text), None, "{text}");
        }
        assert_eq!(check(&"[('a', ".repeat(5_000)), None, "the depth is bounded");
    }
}
