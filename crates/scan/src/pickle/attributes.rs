//! Names of attributes by which NumPy takes any memory that an object names for an array of its own. An object that pickles may
//! make, with such an attribute, lets loading follow pointers that the file makes up.

use crate::rules;

use super::machine::Machine;
use super::reader::Halt;
use super::text;
use super::trace::Operand;
use super::value::{Letters, Value};

/// NumPy's array interface, in its forms.
pub(crate) const POINTERS: [&str; 3] = ["__array_interface__", "__array_struct__", "__cuda_array_interface__"];
/// Bytes of the shortest and, were each letter escaped, of the longest.
const ESCAPED_BYTES: std::ops::RangeInclusive<u64> = 16..=240;
/// Bytes that are read at once of an array of texts.
const CHUNK_BYTES: u64 = 128 << 10;
/// Classes whose items are attributes.
const NAMESPACES: [&str; 3] = ["Bunch", "ResultsBunch", "OptimizeResult"];
const STATE_OF_PARTIAL: usize = 4;
/// Attributes that the instructions of pickles call, where an object has them.
const CALLED: [&str; 4] = ["append", "extend", "add", "__setstate__"];
/// Attributes that make another object of one.
const REPLACING: [&str; 2] = ["__dict__", "__class__"];

impl Machine<'_, '_, '_> {
    /// A text stands in the file.
    pub(super) fn check_text(&mut self, letters: Letters, start: u64, length: u64) -> Result<(), Halt> {
        let may_be = match letters {
            Letters::Utf8 | Letters::OneByte => POINTERS.iter().any(|name| name.len() as u64 == length),
            Letters::RawEscapes | Letters::ReprEscapes => ESCAPED_BYTES.contains(&length),
            Letters::Bytes | Letters::ByteArray => false,
        };
        if !may_be {
            return Ok(());
        }
        let mut first = [0];
        self.reader.peek(start, &mut first)?;
        if !matches!(first, [b'_' | b'\\']) {
            return Ok(());
        }
        let bytes = self.reader.window.bytes(start, length)?;
        if let Some(name) = text::decode(letters, &bytes).and_then(|name| POINTERS.iter().find(|one| **one == name)) {
            self.pointers(name);
        }
        Ok(())
    }

    fn pointers(&mut self, name: &str) {
        let message = format!("the file has an attribute `{name}`: loading follows pointers that the file makes up");
        self.trace.note(rules::GLOBAL_MISUSED, self.at, message);
    }

    /// The texts of an array of NumPy's may become names of attributes as well: pandas finds rows by their labels so.
    pub(super) fn check_array(&mut self, dtype: Value, content: Value) -> Result<(), Halt> {
        if !self.heap.dtype_facts(dtype).is_some_and(|facts| matches!(facts.kind, b'U' | b'V')) {
            return Ok(());
        }
        let text = match content {
            // `_codecs.encode(text, "latin1")`.
            Value::Object { arguments, length, .. } => self.heap.items(arguments, length).first().copied().unwrap_or(Value::None),
            other => other,
        };
        let Value::Text { letters, start, length } = text else { return Ok(()) };
        let length = u64::from(length);
        if !matches!(letters, Letters::RawEscapes | Letters::ReprEscapes) {
            return self.check_letters(start, length);
        }
        let operand = Operand { letters, start, length, torch: false };
        let Some(bytes) = super::decoded(self.reader.window, operand)? else {
            return Err(Halt::Limit("an array of texts cannot be looked into"));
        };
        if let Some(name) = POINTERS.iter().find(|name| memchr::memmem::find(&bytes, &wide(name)).is_some()) {
            self.pointers(name);
        }
        Ok(())
    }

    /// Looks through letters of four bytes each.
    pub(super) fn check_letters(&mut self, start: u64, length: u64) -> Result<(), Halt> {
        let names = POINTERS.map(|name| (name, wide(name)));
        let overlap = names.iter().map(|(_, letters)| letters.len() as u64).max().unwrap_or(0);
        let mut at = 0;
        while at < length {
            let bytes = self.reader.window.bytes(start + at, (CHUNK_BYTES + overlap).min(length - at))?;
            if let Some((name, _)) = names.iter().find(|(_, letters)| memchr::memmem::find(&bytes, letters).is_some()) {
                self.pointers(name);
                return Ok(());
            }
            at += CHUNK_BYTES;
        }
        Ok(())
    }

    /// The texts of an array of Arrow's, one after the other.
    pub(super) fn check_texts(&mut self, texts: &str) {
        if let Some(name) = POINTERS.iter().find(|name| memchr::memmem::find(texts.as_bytes(), name.as_bytes()).is_some()) {
            self.pointers(name);
        }
    }

    /// Whether the items of an object are its attributes.
    pub(super) fn is_namespace(&self, object: Value) -> bool {
        self.class_of(object).is_some_and(|class| self.makes_namespaces(class))
    }

    pub(super) fn makes_namespaces(&self, class: u32) -> bool {
        self.trace.global(class).is_some_and(|class| NAMESPACES.contains(&class.name.as_str()))
    }

    /// Names of attributes or arguments must be written in the file, where they are looked at.
    pub(super) fn check_names(&mut self, dictionary: Value) -> Result<(), Halt> {
        let mut callable = Vec::new();
        let written = match self.heap.entries(dictionary) {
            Some(entries) => {
                callable.extend(entries.pairs.iter().copied().filter(|(key, _)| may_be_special(*key)));
                !entries.open && entries.pairs.iter().all(|(key, _)| is_name(*key))
            }
            None => matches!(dictionary, Value::None),
        };
        // Some classes keep the dictionary itself, so that later entries are attributes as well.
        self.heap.becomes_attributes(dictionary);
        if !written {
            self.names_unwritten();
        }
        for (key, value) in callable {
            self.check_attribute(key, value)?;
        }
        Ok(())
    }

    pub(super) fn check_name(&mut self, key: Value) {
        if !is_name(key) {
            self.names_unwritten();
        }
    }

    /// Of an object's attributes, loading calls some unseen, with arguments that no guard has looked at.
    pub(super) fn check_attribute(&mut self, key: Value, value: Value) -> Result<(), Halt> {
        let Value::Text { start, .. } = key else { return Ok(()) };
        if !may_be_special(key) {
            return Ok(());
        }
        let mut first = [0];
        self.reader.peek(start, &mut first)?;
        if !matches!(first, [b'a' | b'e' | b'_' | b'\\']) {
            return Ok(());
        }
        let Some(name) = self.text_of(key, *ESCAPED_BYTES.end())? else { return Ok(()) };
        let callable = matches!(value, Value::Global(_) | Value::Object { .. } | Value::Computed);
        if (callable && CALLED.contains(&name.as_str())) || REPLACING.contains(&name.as_str()) {
            let message = format!("an object is given an attribute `{name}`: loading would call it, or take it for the object");
            self.trace.note(rules::GLOBAL_MISUSED, self.at, message);
        }
        Ok(())
    }

    fn names_unwritten(&mut self) {
        self.trace.note(rules::GLOBAL_MISUSED, self.at, "names of attributes or arguments are not written in the file");
    }

    /// The state of an object is set: its names, where the state is a dictionary or holds some.
    pub(super) fn check_state(&mut self, target: Value, state: Value) -> Result<(), Halt> {
        match state {
            Value::Dictionary(_) | Value::PlainDictionary => self.check_names(state)?,
            Value::Tuple { .. } => {
                let items = self.heap.items_of(state).unwrap_or_default().to_vec();
                match items.as_slice() {
                    [attributes, slots] => {
                        for part in [attributes, slots] {
                            self.check_part(target, *part)?;
                        }
                    }
                    [_, _, named, attributes] if items.len() == STATE_OF_PARTIAL && self.is_partial(target) => {
                        self.check_names(*named)?;
                        self.check_names(*attributes)?;
                    }
                    _ => {}
                }
            }
            _ => self.check_part(target, state)?,
        }
        Ok(())
    }

    /// A part of a state: dictionaries are attributes. Of those that are made by a call, the names are not known.
    fn check_part(&mut self, target: Value, part: Value) -> Result<(), Halt> {
        match part {
            Value::Dictionary(_) | Value::PlainDictionary => self.check_names(part)?,
            Value::Object { .. } if is_same(target, part) => {}
            Value::Object { global, .. } => {
                let class = self.class_of(part).unwrap_or(global);
                let is_dictionary = self.trace.global(class).is_some_and(|class| match class.module.as_str() {
                    _ if class.is_builtin() => class.name == "dict",
                    "collections" => matches!(class.name.as_str(), "OrderedDict" | "defaultdict" | "Counter"),
                    _ => NAMESPACES.contains(&class.name.as_str()),
                });
                if is_dictionary {
                    self.names_unwritten();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn is_partial(&self, object: Value) -> bool {
        let class = self.class_of(object).and_then(|class| self.trace.global(class));
        class.is_some_and(|class| class.module == "functools")
    }
}

/// The name in letters of four bytes, from its first letter to its last one: in whichever order the bytes of a letter are.
fn wide(name: &str) -> Vec<u8> {
    name.bytes().flat_map(|letter| [letter, 0, 0, 0]).take((name.len() * 4).saturating_sub(3)).collect()
}

fn is_name(key: Value) -> bool {
    matches!(key, Value::Text { letters, .. } if !letters.are_bytes())
}

/// Whether a text may be among the names of attributes that loading takes for more than data.
fn may_be_special(key: Value) -> bool {
    let Value::Text { letters, length, .. } = key else { return false };
    match letters {
        Letters::Utf8 | Letters::OneByte => CALLED.iter().chain(&REPLACING).any(|name| name.len() as u64 == u64::from(length)),
        Letters::RawEscapes | Letters::ReprEscapes => u64::from(length) <= *ESCAPED_BYTES.end(),
        Letters::Bytes | Letters::ByteArray => false,
    }
}

/// Whether two values are one object.
pub(super) fn is_same(one: Value, other: Value) -> bool {
    match (one, other) {
        (Value::Object { global, arguments, .. }, Value::Object { global: of, arguments: with, .. }) => {
            global == of && arguments == with
        }
        _ => false,
    }
}
