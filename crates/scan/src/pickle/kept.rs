//! Where values go. Names that are harmless only if they are called in the file itself may go nowhere else: what they are put
//! into could call them unseen, with arguments that no guard has looked at.

use crate::allow::Mode;
use crate::limits::ARGUMENTS_MAX;
use crate::rules;

use super::machine::Machine;
use super::reader::Halt;
use super::value::Value;

const SUBCLASS: &str = "subclass";

impl Machine<'_, '_, '_> {
    /// A value is taken once more from where it is.
    #[inline]
    pub(super) fn again(&mut self, value: Value) {
        if self.heap.shared(value) {
            let message = "what an array is made of is used once more, so that it could change after it was looked at";
            self.trace.note(rules::GLOBAL_MISUSED, self.at, message);
        }
    }

    /// A value is put into a list, a dictionary, a tuple or a state, or it is what the pickle stands for.
    #[inline]
    pub(super) fn kept(&mut self, value: Value) {
        match value {
            Value::Global(index) if self.is_guarded(value) => self.misplaced(index),
            Value::Tuple { length, .. } if length <= ARGUMENTS_MAX => {
                let items = self.heap.items_of(value).unwrap_or_default();
                if let Some(Value::Global(index)) = items.iter().find(|item| self.is_guarded(**item)) {
                    self.misplaced(*index);
                }
            }
            _ => {}
        }
    }

    /// All values from a place of the stack on are put somewhere; the stack ends there.
    pub(super) fn keep_from(&mut self, start: usize) {
        for at in start..self.stack.len() {
            if let Some(value) = self.stack.get(at) {
                self.kept(*value);
            }
        }
        self.stack.truncate(start);
    }

    /// The values from a place of the stack on as a tuple; the stack ends there. It may hold guarded names, because it may
    /// become the arguments of a call, unless it is one that is not remembered or too long for that.
    pub(super) fn tuple_from(&mut self, start: usize) -> Value {
        let tuple = self.heap.tuple(self.stack.get(start..).unwrap_or_default());
        for at in start..self.stack.len() {
            match self.stack.get(at).copied() {
                Some(Value::Global(_)) if matches!(tuple, Value::Tuple { length, .. } if length <= ARGUMENTS_MAX) => {}
                Some(value) => self.kept(value),
                None => {}
            }
        }
        self.stack.truncate(start);
        tuple
    }

    /// Puts an entry into what may be a dictionary.
    pub(super) fn set(&mut self, target: Value, key: Value, value: Value) -> Result<(), Halt> {
        self.kept(key);
        if !self.is_class_of_joblib(key, value)? {
            self.kept(value);
        }
        if matches!(target, Value::Object { .. }) && self.is_namespace(target) {
            self.check_name(key);
            self.check_attribute(key, value)?;
        } else if self.heap.entries(target).is_some_and(|entries| entries.attributes) {
            self.check_attribute(key, value)?;
        }
        if !self.heap.set(target, key, value) {
            let message = "items are put into the fields of a type of NumPy's that is already made of them";
            self.trace.note(rules::BUILD_TARGET, self.at, message);
        }
        Ok(())
    }

    /// joblib writes the class of an array so; nobody else reads it.
    fn is_class_of_joblib(&self, key: Value, value: Value) -> Result<bool, Halt> {
        let Value::Global(index) = value else { return Ok(false) };
        Ok(self.trace.mode(index) == Some(Mode::ArrayClass)
            && self.text_of(key, SUBCLASS.len() as u64)?.as_deref() == Some(SUBCLASS))
    }

    /// Whether the value is a name that may only be called, or stand where a guard of the call expects it.
    pub(super) fn is_guarded(&self, value: Value) -> bool {
        matches!(value, Value::Global(index) if self.trace.mode(index).is_some_and(|mode| !mode.is_value()))
    }

    fn misplaced(&mut self, index: u32) {
        let name = self.trace.global(index).map(super::full_name).unwrap_or_default();
        let message = format!("`{name}` is handed on as a value, so that something else could call it with any arguments");
        self.trace.note_about(rules::GLOBAL_MISUSED, self.at, message, Some(index as usize));
    }
}
