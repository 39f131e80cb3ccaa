//! What loading does with imported names, and the few names that are harmless only with some arguments.

use crate::allow::Mode;
use crate::report::Use;
use crate::rules;

use super::machine::Machine;
use super::reader::Halt;
use super::trace::{Operand, Persistent, Storage};
use super::value::{DtypeFacts, Letters, Value};
use super::{distribution, joblib};

/// Storages of one torch file.
const STORAGES_MAX: usize = 1 << 20;
/// Bytes of a text that a guard reads.
const GUARD_TEXT_BYTES_MAX: u64 = 4_096;
/// Methods that SciPy's distributions keep vectorized.
const DISTRIBUTION_METHODS: [&str; 9] = [
    "_entropy",
    "_cdf_single",
    "_ppf_single",
    "_ppfvec_single",
    "_mom0_sc",
    "_mom1_sc",
    "_mom_integ0",
    "_mom_integ1",
    "_generic_moment",
];

impl Machine<'_, '_, '_> {
    /// `callee(*arguments)`, the result on the stack.
    pub(super) fn call(&mut self, callee: Value, arguments: Value, how: Use) -> Result<(), Halt> {
        let Value::Global(index) = callee else {
            let made = if how == Use::Called { "calls" } else { "makes an object of" };
            self.trace.note(rules::CALL_COMPUTED, self.at, format!("{made} a value that is not an imported name"));
            return self.push(Value::Computed);
        };
        self.trace.used(index, how);
        let items = self.heap.items_of(arguments).map(<[Value]>::to_vec);
        let result = match (arguments, self.trace.mode(index)) {
            (_, Some(Mode::Dtype)) => self.dtype(items.as_deref()),
            (Value::Tuple { start, length }, _) => Value::Object { global: index, arguments: start, length },
            _ => Value::Object { global: index, arguments: 0, length: 0 },
        };
        if let Some(mode) = self.trace.mode(index) {
            self.guard(index, mode, items.as_deref())?;
        }
        self.push(result)
    }

    fn guard(&mut self, index: u32, mode: Mode, items: Option<&[Value]>) -> Result<(), Halt> {
        let fits = match mode {
            Mode::Any | Mode::Dtype | Mode::JoblibArray | Mode::Distribution => self.no_guarded_class(items),
            Mode::Reference => false,
            Mode::Latin1 => match items {
                Some([Value::Text { .. }, encoding]) => {
                    let name = self.text_of(*encoding, GUARD_TEXT_BYTES_MAX)?;
                    matches!(name.as_deref(), Some("latin1" | "latin-1" | "latin_1"))
                }
                _ => false,
            },
            Mode::ClassFirst => match items {
                Some([Value::Global(class), rest @ ..]) => {
                    self.trace.used(*class, Use::Instantiated);
                    let callable =
                        !matches!(self.trace.mode(*class), Some(Mode::Reference | Mode::TorchBytes | Mode::TorchRebuild));
                    callable && self.no_guarded_class(Some(rest))
                }
                _ => false,
            },
            Mode::DistributionMethod => match items {
                Some([object, name]) => {
                    let class = self.class_of(*object).and_then(|class| self.trace.mode(class));
                    let name = self.text_of(*name, GUARD_TEXT_BYTES_MAX)?;
                    class == Some(Mode::Distribution) && name.is_some_and(|name| DISTRIBUTION_METHODS.contains(&name.as_str()))
                }
                _ => false,
            },
            Mode::TorchBytes => self.torch_bytes(items)?,
            Mode::TorchRebuild => match items {
                Some([Value::Global(function), Value::Global(class), rest @ ..]) => {
                    let torch = |index: u32| self.trace.global(index).is_some_and(|global| global.module.starts_with("torch"));
                    let fits = torch(*function) && torch(*class) && self.trace.mode(*function) == Some(Mode::Any);
                    self.trace.used(*function, Use::Called);
                    fits && self.no_guarded_class(Some(rest))
                }
                _ => false,
            },
        };
        if !fits {
            let name = self.trace.global(index).map(|global| format!("{}.{}", global.module, global.name)).unwrap_or_default();
            let message = format!("`{}` is called with arguments that it may not have", crate::report::shown(&name));
            self.trace.note_about(rules::GLOBAL_MISUSED, self.at, message, Some(index as usize));
        }
        Ok(())
    }

    /// Whether no class stands in the arguments whose objects must be looked at when their state is set: whatever is called
    /// could make an object of it unseen.
    fn no_guarded_class(&self, items: Option<&[Value]>) -> bool {
        let guarded =
            |value: &Value| matches!(value, Value::Global(index) if self.trace.mode(*index).is_some_and(Mode::guards_state));
        let Some(items) = items else { return true };
        !items.iter().any(|item| guarded(item) || self.heap.items_of(*item).is_some_and(|inner| inner.iter().any(guarded)))
    }

    /// `torch.storage._load_from_bytes(bytes)`: the bytes must be in the file, and are scanned as a torch file.
    fn torch_bytes(&mut self, items: Option<&[Value]>) -> Result<bool, Halt> {
        let Some([argument]) = items else { return Ok(false) };
        let text = match *argument {
            Value::Object { global, arguments, length } if self.trace.mode(global) == Some(Mode::Latin1) => {
                self.heap.items(arguments, length).first().copied()
            }
            bytes @ Value::Text { letters: Letters::Bytes | Letters::OneByte | Letters::ReprEscapes, .. } => Some(bytes),
            _ => None,
        };
        let Some(Value::Text { letters, length, start }) = text else { return Ok(false) };
        // The operand may have been noted as a pickle: it is one, but with torch as its reader.
        match self.trace.operands.iter_mut().rev().find(|operand| operand.start == start) {
            Some(operand) => operand.torch = true,
            None => self.trace.operands.push(Operand { letters, start, length: u64::from(length), torch: true }),
        }
        Ok(true)
    }

    fn dtype(&mut self, items: Option<&[Value]>) -> Value {
        let code = items.and_then(|items| items.first()).and_then(|code| self.text_of(*code, 64).ok().flatten());
        let mut facts = DtypeFacts { kind: b'?', item_bytes: None, has_objects: None };
        if let Some(code) = code
            && let Some((kind, size)) = code.split_at_checked(1)
        {
            facts.kind = kind.bytes().next().unwrap_or(b'?');
            let unit = if facts.kind == b'U' { 4 } else { 1 };
            facts.item_bytes = size.parse::<u64>().ok().and_then(|size| size.checked_mul(unit));
            facts.has_objects = match facts.kind {
                b'O' => Some(true),
                b'b' | b'i' | b'u' | b'f' | b'c' | b'm' | b'M' | b'S' | b'U' => Some(false),
                _ => None,
            };
        }
        self.heap.dtype(facts)
    }

    /// `BUILD`: sets the state of what is on top of the stack.
    pub(super) fn build(&mut self, target: Value, state: Value) -> Result<(), Halt> {
        match target {
            Value::Object { global, .. } => {
                let class = self.class_of(target).unwrap_or(global);
                self.trace.used(class, Use::StateSet);
                match self.trace.mode(class) {
                    Some(Mode::JoblibArray) => return joblib::array(self, state),
                    Some(Mode::Distribution) => {
                        if let Some(problem) = distribution::problem(self, state)? {
                            self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
                        }
                    }
                    _ => {}
                }
            }
            Value::Dtype(_) => self.dtype_state(target, state),
            _ => self.trace.note(rules::BUILD_TARGET, self.at, "`BUILD` sets the state of a value that is not a fresh object"),
        }
        Ok(())
    }

    /// The class of an object, also where a helper made it.
    fn class_of(&self, object: Value) -> Option<u32> {
        let Value::Object { global, arguments, length } = object else { return None };
        if self.trace.mode(global) != Some(Mode::ClassFirst) {
            return Some(global);
        }
        match self.heap.items(arguments, length).first() {
            Some(Value::Global(class)) => Some(*class),
            _ => None,
        }
    }

    /// `(version, order, subtype, names, fields, size, alignment, flags)`; flag 1 says that there are objects in it.
    fn dtype_state(&mut self, target: Value, state: Value) {
        let known = match self.heap.items_of(state) {
            Some([_, _, subtype, _, _, Value::Int(size), _, Value::Int(flags), ..]) => {
                Some((*size, *flags, matches!(subtype, Value::None)))
            }
            _ => None,
        };
        let Some(facts) = self.heap.dtype_facts(target) else { return };
        let Some((size, flags, plain)) = known else {
            (facts.item_bytes, facts.has_objects) = (None, None);
            return;
        };
        // Only types of any size take their size from the state.
        if matches!(facts.kind, b'V' | b'S' | b'U') {
            facts.item_bytes = u64::try_from(size).ok().or(facts.item_bytes).filter(|_| plain || facts.kind == b'V');
        }
        if facts.kind == b'V' {
            facts.has_objects = Some(flags & 1 == 1);
        }
    }

    /// An object that only the reader knows. torch finds the bytes of tensors so.
    pub(super) fn persistent(&mut self, id: Option<Value>) -> Result<(), Halt> {
        let items = match (self.trace.persistent, id) {
            (Persistent::Torch, Some(id)) => self.heap.items_of(id).map(<[Value]>::to_vec).unwrap_or_default(),
            _ => Vec::new(),
        };
        // Old files name the classes of modules so, with their source as a text; the class is an import like any other.
        if let [kind, class @ Value::Global(_), ..] = items.as_slice()
            && self.text_of(*kind, 16)?.as_deref() == Some("module")
        {
            return self.push(*class);
        }
        match self.storage(&items)? {
            Some(_) if self.trace.storages.len() >= STORAGES_MAX => return Err(Halt::Limit("too many storages")),
            Some(storage) => self.trace.storages.push(storage),
            None => self.trace.note(rules::PERSISTENT, self.at, "an object is asked for by a persistent id that is not torch's"),
        }
        self.push(Value::Computed)
    }

    fn storage(&self, items: &[Value]) -> Result<Option<Storage>, Halt> {
        let [kind, Value::Global(class), key, _, Value::Int(count), ..] = items else { return Ok(None) };
        if self.text_of(*kind, 16)?.as_deref() != Some("storage") {
            return Ok(None);
        }
        let (Some(key), Ok(items)) = (self.text_of(*key, GUARD_TEXT_BYTES_MAX)?, u64::try_from(*count)) else { return Ok(None) };
        let Some(class) = self.trace.global(*class).filter(|class| class.module.starts_with("torch")) else { return Ok(None) };
        Ok(Some(Storage { key, class: class.name.clone(), items }))
    }
}
