//! What was seen while following a pickle: imports, their uses, findings, storages, operands that may be pickles.

use std::collections::HashMap;

use crate::allow::{AllowList, Mode};
use crate::limits::{FINDINGS_MAX, GLOBALS_MAX};
use crate::report::Use;
use crate::rules::Rule;

use super::value::Letters;

/// An import.
#[derive(Debug)]
pub(crate) struct Global {
    pub module: String,
    pub name: String,
    pub offset: u64,
    pub mode: Option<Mode>,
    pub uses: Vec<Use>,
}

impl Global {
    /// Whether a reader could import it at all: names with odd letters fail before anything runs.
    pub fn is_plausible(&self) -> bool {
        let part = |part: &str| {
            let mut letters = part.chars();
            letters.next().is_some_and(|letter| letter.is_alphabetic() || letter == '_')
                && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        };
        self.module.split('.').all(part) && self.name.split('.').all(part)
    }

    /// Whether it is one of Python's own, in either version.
    pub fn is_builtin(&self) -> bool {
        matches!(self.module.as_str(), "builtins" | "__builtin__")
    }

    pub fn is_called(&self) -> bool {
        self.uses.iter().any(|one| *one != Use::Referenced)
    }
}

/// A finding before it is put into a report.
#[derive(Debug)]
pub(crate) struct Note {
    pub rule: &'static Rule,
    pub message: String,
    pub offset: u64,
    pub global: Option<usize>,
}

/// An array of torch's, which the pickle names by a persistent id.
#[derive(Debug)]
pub(crate) struct Storage {
    pub key: String,
    pub class: String,
    pub items: u64,
}

/// An operand that begins like a pickle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub letters: Letters,
    pub start: u64,
    pub length: u64,
    /// It must be a torch file, because the pickle has it loaded as one.
    pub torch: bool,
}

/// Where persistent ids come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistent {
    /// From no known reader.
    Unknown,
    /// From torch, which finds storages by them.
    Torch,
}

pub(crate) struct Trace<'a> {
    pub allow: &'a AllowList,
    pub globals: Vec<Global>,
    by_name: HashMap<(String, String), u32>,
    pub notes: Vec<Note>,
    pub storages: Vec<Storage>,
    pub(super) operands: Vec<Operand>,
    pub persistent: Persistent,
    /// Effects of notes that were not kept.
    pub worst_unkept: Option<&'static Rule>,
}

impl<'a> Trace<'a> {
    pub fn new(allow: &'a AllowList, persistent: Persistent) -> Self {
        Self {
            allow,
            globals: Vec::new(),
            by_name: HashMap::new(),
            notes: Vec::new(),
            storages: Vec::new(),
            operands: Vec::new(),
            persistent,
            worst_unkept: None,
        }
    }

    pub fn note(&mut self, rule: &'static Rule, offset: u64, message: impl Into<String>) {
        self.note_about(rule, offset, message, None);
    }

    pub fn note_about(&mut self, rule: &'static Rule, offset: u64, message: impl Into<String>, global: Option<usize>) {
        if self.notes.len() >= FINDINGS_MAX {
            if self.worst_unkept.is_none_or(|worst| worst.effect < rule.effect) {
                self.worst_unkept = Some(rule);
            }
            return;
        }
        self.notes.push(Note { rule, message: message.into(), offset, global });
    }

    /// An import; `None` if there are too many.
    pub fn import(&mut self, module: String, name: String, offset: u64) -> Option<u32> {
        let key = (module, name);
        if let Some(index) = self.by_name.get(&key) {
            return Some(*index);
        }
        if self.globals.len() >= GLOBALS_MAX {
            return None;
        }
        let index = u32::try_from(self.globals.len()).ok()?;
        let mode = self.allow.mode(&key.0, &key.1);
        let (module, name) = key.clone();
        self.globals.push(Global { module, name, offset, mode, uses: vec![Use::Referenced] });
        self.by_name.insert(key, index);
        Some(index)
    }

    pub fn global(&self, index: u32) -> Option<&Global> {
        self.globals.get(index as usize)
    }

    pub fn mode(&self, index: u32) -> Option<Mode> {
        self.global(index)?.mode
    }

    pub fn used(&mut self, index: u32, how: Use) {
        if let Some(global) = self.globals.get_mut(index as usize)
            && !global.uses.contains(&how)
        {
            global.uses.push(how);
        }
    }
}
