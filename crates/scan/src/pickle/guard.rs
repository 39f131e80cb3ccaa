//! What loading does with imported names, and the few names that are harmless only with some arguments.

use crate::allow::{DISTRIBUTION_METHODS, Mode};
use crate::limits::ARGUMENTS_MAX;
use crate::report::Use;
use crate::rules;

use super::machine::Machine;
use super::reader::Halt;
use super::trace::{Global, Operand, Persistent, Storage};
use super::value::{Letters, Value};
use super::{arrow, attributes, distribution, dtype, joblib};

/// Storages of one torch file.
const STORAGES_MAX: usize = 1 << 20;
/// The types that cloudpickle may look up.
const BOUND_METHOD: &str = "MethodType";
const NAMESPACE: &str = "SimpleNamespace";
/// Bytes of a text that a guard reads.
const GUARD_TEXT_BYTES_MAX: u64 = 4_096;

impl Machine<'_, '_, '_> {
    /// `callee(*arguments)`, the result on the stack.
    pub(super) fn call(&mut self, callee: Value, arguments: Value, how: Use) -> Result<(), Halt> {
        let Value::Global(index) = callee else {
            if let Some(result) = self.call_made(callee, arguments)? {
                return self.push(result);
            }
            let made = if how == Use::Called { "calls" } else { "makes an object of" };
            self.trace.note(rules::CALL_COMPUTED, self.at, format!("{made} a value that is not an imported name"));
            return self.push(Value::Computed);
        };
        self.trace.used(index, how);
        let items = match arguments {
            Value::Tuple { length, .. } if length > ARGUMENTS_MAX => None,
            _ => self.heap.items_of(arguments).map(<[Value]>::to_vec),
        };
        let result = match (arguments, self.trace.mode(index)) {
            (_, Some(Mode::Dtype)) => dtype::made(self, items.as_deref())?,
            (Value::Tuple { start, length }, _) => Value::Object { global: index, arguments: start, length },
            _ => Value::Object { global: index, arguments: 0, length: 0 },
        };
        if let Some(mode) = self.trace.mode(index) {
            self.guard(index, mode, arguments, items.as_deref())?;
        }
        self.push(result)
    }

    fn guard(&mut self, index: u32, mode: Mode, arguments: Value, items: Option<&[Value]>) -> Result<(), Halt> {
        let fits = match mode {
            Mode::Any | Mode::Dtype => self.no_guarded(items),
            // Picklers make them empty and set their state.
            Mode::JoblibArray | Mode::Distribution | Mode::Empty | Mode::FormulaData | Mode::ArrowStream => {
                items.is_some_and(<[Value]>::is_empty)
            }
            Mode::ArrayMaker => {
                items.is_none_or(|items| items.iter().all(|item| !self.is_guarded(*item) || self.is_array_class(*item)))
            }
            Mode::ArrayScalar => {
                if let Some([dtype, content]) = items {
                    self.check_array(*dtype, *content)?;
                }
                self.no_guarded(items)
            }
            Mode::BytesFirst => {
                if let Some([bytes, dtype, ..]) = items {
                    self.check_array(*dtype, *bytes)?;
                }
                items.and_then(<[Value]>::first).is_some_and(|first| self.are_bytes(*first)) && self.no_guarded(items)
            }
            Mode::ArrowArray => {
                if let Some(problem) = arrow::array_problem(self, arguments)? {
                    self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(index as usize));
                }
                true
            }
            Mode::Texts => items.is_some_and(|items| items.iter().all(|item| matches!(item, Value::Text { .. }))),
            Mode::TypeOfNone => matches!(items, Some([Value::None])),
            Mode::BuiltinType => match items {
                Some([name]) => matches!(self.text_of(*name, GUARD_TEXT_BYTES_MAX)?.as_deref(), Some(BOUND_METHOD | NAMESPACE)),
                _ => false,
            },
            Mode::Reference | Mode::ArrayClass => false,
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
                    if let [_, content] = rest
                        && self.makes_namespaces(*class)
                    {
                        self.check_names(*content)?;
                    }
                    match self.trace.mode(*class) {
                        None | Some(Mode::Any) => self.no_guarded(Some(rest)),
                        // What they are made of is at most the class of Python's that they extend, and what that one holds.
                        Some(mode) if mode.is_made_empty() => match rest {
                            [] => true,
                            [Value::Global(base), _] => {
                                self.trace.global(*base).is_some_and(Global::is_builtin) && self.no_guarded(Some(rest))
                            }
                            _ => false,
                        },
                        Some(_) => false,
                    }
                }
                _ => false,
            },
            Mode::DistributionMethod => match items {
                Some([object, name]) => {
                    self.text_of(*name, GUARD_TEXT_BYTES_MAX)?.is_some_and(|name| self.has_method(*object, &name))
                }
                _ => false,
            },
            Mode::TorchBytes => self.torch_bytes(arguments, items)?,
            Mode::TorchRebuild => match items {
                Some([Value::Global(function), Value::Global(class), rest @ ..]) => {
                    let torch = |index: u32| self.trace.global(index).is_some_and(|global| global.module.starts_with("torch"));
                    let fits = torch(*function) && torch(*class) && self.trace.mode(*function) == Some(Mode::Any);
                    self.trace.used(*function, Use::Called);
                    fits && !self.is_guarded(Value::Global(*class)) && self.no_guarded(Some(rest))
                }
                _ => false,
            },
            Mode::RandomGenerator => self.random_generator(items),
        };
        if !fits {
            let name = self.trace.global(index).map(super::full_name).unwrap_or_default();
            let message = format!("`{name}` is called with arguments that it may not have");
            self.trace.note_about(rules::GLOBAL_MISUSED, self.at, message, Some(index as usize));
        }
        Ok(())
    }

    /// Whether no guarded name stands in the arguments, which whatever is called could call unseen. In tuples of tuples, and in
    /// arguments that are not remembered, there is none: it would have been found when it was put there.
    fn no_guarded(&self, items: Option<&[Value]>) -> bool {
        !items.unwrap_or_default().iter().any(|item| self.is_guarded(*item))
    }

    fn is_array_class(&self, value: Value) -> bool {
        matches!(value, Value::Global(index) if self.trace.mode(index) == Some(Mode::ArrayClass))
    }

    /// Whether a value is bytes that are written in the file, or a copy of something as bytes.
    fn are_bytes(&self, value: Value) -> bool {
        match value {
            Value::Text { letters, .. } => letters.are_bytes(),
            Value::Object { global, .. } if self.trace.mode(global) == Some(Mode::Latin1) => true,
            Value::Object { global, .. } => self
                .trace
                .global(global)
                .is_some_and(|global| global.is_builtin() && matches!(global.name.as_str(), "bytes" | "bytearray")),
            _ => false,
        }
    }

    /// Whether `getattr` may take this from a class or an object.
    fn has_method(&self, object: Value, name: &str) -> bool {
        if let Value::Global(class) = object {
            let global = self.trace.global(class);
            return global.is_some_and(|global| self.trace.allow.has_method(&global.module, &global.name, name));
        }
        let Some(class) = self.class_of(object) else { return false };
        match self.trace.mode(class) {
            Some(Mode::Distribution) => DISTRIBUTION_METHODS.contains(&name),
            // The methods of a regular expression.
            _ => {
                let global = self.trace.global(class);
                let is_expression = global.is_some_and(|global| global.module == "re" && global.name == "_compile");
                is_expression && self.trace.allow.has_method("re", "Pattern", name)
            }
        }
    }

    /// The few calls of values that a look-up has made: of a time zone by its name, and of the types that cloudpickle looks up.
    fn call_made(&mut self, callee: Value, arguments: Value) -> Result<Option<Value>, Halt> {
        let Value::Object { global, arguments: start, length } = callee else { return Ok(None) };
        let Some(items) = self.heap.items_of(arguments) else { return Ok(None) };
        let made_of = self.heap.items(start, length);
        Ok(match (self.trace.mode(global), made_of, items) {
            (
                Some(Mode::DistributionMethod),
                [Value::Global(class), method],
                [key @ Value::Text { .. }, Value::Int(_) | Value::Plain],
            ) => {
                let is_zone =
                    self.trace.global(*class).is_some_and(|class| class.module == "zoneinfo" && class.name == "ZoneInfo");
                let is_maker = self.text_of(*method, GUARD_TEXT_BYTES_MAX)?.as_deref() == Some("_unpickle");
                let key = self.text_of(*key, GUARD_TEXT_BYTES_MAX)?;
                (is_zone && is_maker && key.is_some_and(|key| is_zone_key(&key))).then_some(Value::Computed)
            }
            (Some(Mode::BuiltinType), [name], items) => {
                let name = self.text_of(*name, GUARD_TEXT_BYTES_MAX)?;
                match (name.as_deref(), items) {
                    (Some(NAMESPACE), []) => Some(callee),
                    (Some(BOUND_METHOD), [_, _]) if self.no_guarded(Some(items)) => Some(Value::Computed),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// `numpy.random._pickle`'s functions call their second argument with the first one, and the first one if it is a class.
    fn random_generator(&self, items: Option<&[Value]>) -> bool {
        let of_numpy = |index: u32| self.trace.global(index).is_some_and(|global| global.module.starts_with("numpy.random._"));
        let is_kind = |value: &Value| match *value {
            Value::Text { .. } => true,
            Value::Global(index) => of_numpy(index) && self.trace.mode(index) == Some(Mode::Any),
            Value::Object { global, .. } => of_numpy(global),
            _ => false,
        };
        let is_maker = |value: &Value| match *value {
            Value::Global(index) => {
                self.trace.mode(index) == Some(Mode::RandomGenerator)
                    && self.trace.global(index).is_some_and(|global| global.name == "__bit_generator_ctor")
            }
            _ => false,
        };
        match items {
            Some([]) => true,
            Some([kind]) => is_kind(kind),
            Some([kind, maker]) => is_kind(kind) && is_maker(maker),
            _ => false,
        }
    }

    /// `torch.storage._load_from_bytes(bytes)`: the bytes must be in the file and nothing else may have changed them. They are
    /// scanned as a torch file.
    fn torch_bytes(&mut self, arguments: Value, items: Option<&[Value]>) -> Result<bool, Halt> {
        let Some([argument]) = items else { return Ok(false) };
        if self.heap.sharing.is_shared(arguments) || self.heap.sharing.is_shared(*argument) {
            return Ok(false);
        }
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

    /// `BUILD`: sets the state of what is on top of the stack.
    pub(super) fn build(&mut self, target: Value, state: Value) -> Result<(), Halt> {
        match target {
            Value::Object { global, .. } => {
                let class = self.class_of(target).unwrap_or(global);
                self.trace.used(class, Use::StateSet);
                self.check_state(target, state)?;
                if self.opens_files(class, state)? {
                    self.trace.note_about(rules::OPENS_FILES, self.at, super::OPENS_FILES, Some(class as usize));
                }
                match self.trace.mode(class) {
                    Some(Mode::JoblibArray) => return joblib::array(self, state),
                    Some(Mode::ArrayMaker) => self.array_filled(class, state)?,
                    // Some versions of NumPy give back the object that an item is made of, and make types without `dtype`.
                    Some(Mode::ArrayScalar) => self.stateless(class),
                    Some(Mode::Any) if self.makes_types(class) => self.stateless(class),
                    Some(Mode::ArrowStream) => {
                        if let Some(problem) = arrow::stream_problem(self, state)? {
                            self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
                        }
                    }
                    Some(Mode::Empty)
                        if !matches!(state, Value::Dictionary(_) | Value::PlainDictionary)
                            && !attributes::is_same(target, state) =>
                    {
                        let problem = "the state of an object is set by its own methods, which have not been looked at";
                        self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
                    }
                    Some(Mode::FormulaData) if !self.asks_for_no_formula(state)? => {
                        let problem = "the state has a formula evaluated, which is a program";
                        self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
                    }
                    Some(Mode::Distribution) => {
                        if let Some(problem) = distribution::problem(self, state)? {
                            self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
                        }
                    }
                    _ => {}
                }
            }
            Value::Dtype(_) => {
                if let Some(problem) = dtype::state_set(self, target, state)? {
                    self.trace.note(rules::GLOBAL_MISUSED, self.at, problem);
                }
            }
            _ => self.trace.note(rules::BUILD_TARGET, self.at, "`BUILD` sets the state of a value that is not a fresh object"),
        }
        Ok(())
    }

    fn makes_types(&self, class: u32) -> bool {
        self.trace.global(class).is_some_and(|class| class.module == "numpy.dtypes" || class.name == "_DType_reconstruct")
    }

    fn stateless(&mut self, class: u32) {
        let problem = "the state of what has none, or has it set by `numpy.dtype` only, is set";
        self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
    }

    /// `(version, shape, dtype, order, content, …)` is set as the state of an array.
    fn array_filled(&mut self, class: u32, state: Value) -> Result<(), Halt> {
        match self.heap.items_of(state) {
            Some(&[_, _, dtype, _, content, ..]) => self.check_array(dtype, content),
            _ => {
                let problem = "the state of an array is not written plainly in the file";
                self.trace.note_about(rules::GLOBAL_MISUSED, self.at, problem, Some(class as usize));
                Ok(())
            }
        }
    }

    /// statsmodels evaluates the formula of data whose state has `restore_design_info`, or `restore_model_spec` since 0.15.
    fn asks_for_no_formula(&self, state: Value) -> Result<bool, Halt> {
        let Some(entries) = self.heap.state(state) else { return Ok(false) };
        for (key, _) in entries {
            if self.text_of(*key, GUARD_TEXT_BYTES_MAX)?.is_none_or(|key| key.starts_with("restore_")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The class of an object, also where a helper made it.
    pub(super) fn class_of(&self, object: Value) -> Option<u32> {
        let Value::Object { global, arguments, length } = object else { return None };
        if self.trace.mode(global) != Some(Mode::ClassFirst) {
            return Some(global);
        }
        match self.heap.items(arguments, length).first() {
            Some(Value::Global(class)) => Some(*class),
            _ => None,
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

/// Whether a text is the name of a time zone, such as `Europe/Berlin`, and leads nowhere else.
fn is_zone_key(key: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '+'))
    };
    key.split('/').all(part)
}
