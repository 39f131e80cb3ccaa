//! NumPy's types of items. Their state says where in an item there are pointers to objects, and NumPy believes it: a state that
//! lies lets loading follow pointers that the file makes up.

use crate::limits::TUPLE_LENGTH_MAX;

use super::machine::Machine;
use super::reader::Halt;
use super::value::{DtypeFacts, Value};

/// Items of a state.
const STATE_ITEMS_MAX: usize = 9;
const CODE_BYTES_MAX: u64 = 64;
const NAME_BYTES_MAX: u64 = 4_096;
/// Bytes of a pointer.
const POINTER_BYTES: u64 = 8;
const ALIGNMENT_BYTES_MAX: i64 = 64;
/// Flags of a type: its items have references to objects, are written as a list, are pointers.
const HAS_OBJECTS: i64 = 1;
const AS_LIST: i64 = 2;
const IS_POINTER: i64 = 4;
/// The flags of a type of objects: those above, and that items must be set to zero, need Python, and are read one by one.
const OF_OBJECTS: i64 = 63;

const UNKNOWN: &str = "the state of a type of NumPy's is not written plainly in the file";
const ODD: &str = "the state of a type of NumPy's is not as NumPy writes it";
const LIES: &str = "a type of NumPy's has false flags: loading follows pointers that the file makes up";
const OUTSIDE: &str = "a field of a type of NumPy's lies outside of the item, or over an object";

/// `numpy.dtype(code, align, copy)`.
pub(super) fn made(machine: &mut Machine<'_, '_, '_>, items: Option<&[Value]>) -> Result<Value, Halt> {
    let mut facts = DtypeFacts { kind: b'?', item_bytes: None, has_objects: None, fresh: true };
    match items.and_then(|items| items.first()) {
        // Types of records: their class stands in place of the code.
        Some(Value::Global(class)) => {
            let global = machine.trace.global(*class);
            if global.is_some_and(|global| global.module.starts_with("numpy") && global.name == "record") {
                facts.kind = b'V';
            }
        }
        Some(code) => {
            if let Some(code) = machine.text_of(*code, CODE_BYTES_MAX)? {
                read_code(&code, &mut facts);
            }
        }
        None => {}
    }
    Ok(machine.heap.dtype(facts))
}

/// A letter and the bytes (or letters) of an item, as NumPy writes types. Of any other text nothing is known.
fn read_code(code: &str, facts: &mut DtypeFacts) {
    let Some((kind, size)) = code.split_at_checked(1) else { return };
    if size.is_empty() || !size.bytes().all(|digit| digit.is_ascii_digit()) {
        return;
    }
    let Ok(size) = size.parse::<u64>() else { return };
    let kind = kind.bytes().next().unwrap_or(b'?');
    (facts.item_bytes, facts.has_objects) = match kind {
        b'O' => (Some(POINTER_BYTES), Some(true)),
        b'U' => (size.checked_mul(4), Some(false)),
        b'b' | b'i' | b'u' | b'f' | b'c' | b'm' | b'M' | b'S' | b'V' => (Some(size), Some(false)),
        _ => return,
    };
    facts.kind = kind;
}

/// Follows the setting of a state, and says what is wrong with it, if anything is.
pub(super) fn state_set(machine: &mut Machine<'_, '_, '_>, target: Value, state: Value) -> Result<Option<&'static str>, Halt> {
    let Some(facts) = machine.heap.dtype_facts(target) else { return Ok(Some(UNKNOWN)) };
    let judged = if facts.fresh { judge(machine, facts, state)? } else { Err("the state of a type of NumPy's is set late") };
    let (facts, problem) = match judged {
        Ok(facts) => (facts, None),
        Err(problem) => (DtypeFacts { item_bytes: None, has_objects: None, ..facts }, Some(problem)),
    };
    machine.heap.set_dtype_facts(target, DtypeFacts { fresh: false, ..facts });
    Ok(problem)
}

type Judged<T> = Result<T, &'static str>;

/// `(version, order, subtype, names, fields, size, alignment, flags)`, and what times are counted in.
fn judge(machine: &mut Machine<'_, '_, '_>, mut facts: DtypeFacts, state: Value) -> Result<Judged<DtypeFacts>, Halt> {
    let items =
        machine.heap.items_of(state).filter(|items| items.len() <= STATE_ITEMS_MAX).map(<[Value]>::to_vec).unwrap_or_default();
    let [Value::Int(3 | 4), order, subtype, names, fields, Value::Int(size), Value::Int(alignment), Value::Int(flags), ..] =
        items.as_slice()
    else {
        return Ok(Err(UNKNOWN));
    };
    let plain = matches!((subtype, names, fields), (Value::None, Value::None, Value::None));
    match facts.kind {
        b'?' => return Ok(Err(UNKNOWN)),
        b'O' => {
            let fits = plain && *flags == OF_OBJECTS && machine.text_of(*order, 1)?.as_deref() == Some("|");
            return Ok(if fits { Ok(facts) } else { Err(LIES) });
        }
        b'V' | b'S' | b'U' => {
            let unit = if facts.kind == b'U' { 4 } else { 1 };
            let Ok(size) = u64::try_from(*size) else { return Ok(Err(ODD)) };
            if size % unit != 0 || size > i32::MAX as u64 || !(1..=ALIGNMENT_BYTES_MAX).contains(alignment) {
                return Ok(Err(ODD));
            }
            facts.item_bytes = Some(size);
        }
        _ => {}
    }
    if facts.kind != b'V' {
        let lies = flags & (HAS_OBJECTS | AS_LIST | IS_POINTER) != 0;
        return Ok(if !plain {
            Err(ODD)
        } else if lies {
            Err(LIES)
        } else {
            Ok(facts)
        });
    }
    let parts = match parts(machine, *subtype, *names, *fields)? {
        Ok(parts) => parts,
        Err(problem) => return Ok(Err(problem)),
    };
    machine.heap.fix(*fields);
    let has_objects = parts.iter().any(|part| part.has_objects);
    if !lie_inside(parts, facts.item_bytes.unwrap_or(0)) {
        return Ok(Err(OUTSIDE));
    }
    let wanted = if has_objects { HAS_OBJECTS | AS_LIST } else { 0 };
    let mask = if has_objects { HAS_OBJECTS | AS_LIST } else { HAS_OBJECTS | AS_LIST | IS_POINTER };
    if flags & mask != wanted {
        return Ok(Err(LIES));
    }
    facts.has_objects = Some(has_objects);
    Ok(Ok(facts))
}

/// A part of an item: from where to where, and whether there are objects in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    start: u64,
    end: u64,
    has_objects: bool,
}

/// The fields of a type, or the one type that an item repeats.
fn parts(machine: &Machine<'_, '_, '_>, subtype: Value, names: Value, fields: Value) -> Result<Judged<Vec<Part>>, Halt> {
    let mut parts = Vec::new();
    match subtype {
        Value::None => {}
        Value::Tuple { .. } => {
            let Some(&[base, shape]) = machine.heap.items_of(subtype) else { return Ok(Err(ODD)) };
            let Some(part) = part(machine, base, 0, count(machine, shape)) else { return Ok(Err(UNKNOWN)) };
            parts.push(part);
        }
        _ => return Ok(Err(UNKNOWN)),
    }
    if matches!((names, fields), (Value::None, Value::None)) {
        return Ok(Ok(parts));
    }
    let Some(entries) = machine.heap.entries(fields).filter(|entries| !entries.open) else { return Ok(Err(UNKNOWN)) };
    let mut keys = std::collections::HashSet::new();
    for (key, value) in &entries.pairs {
        let Some(&[dtype, Value::Int(offset), ..]) = machine.heap.items_of(*value) else { return Ok(Err(UNKNOWN)) };
        let part = u64::try_from(offset).ok().and_then(|offset| part(machine, dtype, offset, Some(1)));
        let (Some(part), Some(key)) = (part, machine.text_of(*key, NAME_BYTES_MAX)?) else { return Ok(Err(UNKNOWN)) };
        parts.push(part);
        keys.insert(key);
    }
    let Some(names) = machine.heap.items_of(names) else { return Ok(Err(UNKNOWN)) };
    for name in names {
        if !machine.text_of(*name, NAME_BYTES_MAX)?.is_some_and(|name| keys.contains(&name)) {
            return Ok(Err(ODD));
        }
    }
    Ok(Ok(parts))
}

fn part(machine: &Machine<'_, '_, '_>, dtype: Value, start: u64, count: Option<u64>) -> Option<Part> {
    let facts = machine.heap.dtype_facts(dtype)?;
    let end = facts.item_bytes?.checked_mul(count?)?.checked_add(start)?;
    Some(Part { start, end, has_objects: facts.has_objects? })
}

/// How often a type stands in an item of this shape.
fn count(machine: &Machine<'_, '_, '_>, shape: Value) -> Option<u64> {
    let lengths = match shape {
        Value::Int(_) => std::slice::from_ref(&shape),
        _ => machine.heap.items_of(shape)?,
    };
    lengths.iter().take(TUPLE_LENGTH_MAX).try_fold(1_u64, |count, length| match length {
        Value::Int(length) => count.checked_mul(u64::try_from(*length).ok()?),
        _ => None,
    })
}

/// Whether all parts lie inside of the item and none over an object. A field with a title is written twice.
fn lie_inside(mut parts: Vec<Part>, item_bytes: u64) -> bool {
    parts.sort_unstable();
    parts.dedup();
    let has_objects = parts.iter().any(|part| part.has_objects);
    let apart = |pair: &[Part]| matches!(pair, [first, second] if first.end <= second.start);
    parts.iter().all(|part| part.end <= item_bytes) && (!has_objects || parts.windows(2).all(apart))
}

#[cfg(test)]
mod tests {
    use crate::Verdict;
    use crate::tests::scan;

    const OBJECT: &[u8] = b"cnumpy\ndtype\nX\x02\0\0\0O8\x89\x88\x87R";
    const FLOAT: &[u8] = b"cnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb";

    #[track_caller]
    fn check(parts: &[&[u8]], wanted: Verdict, rule: &str) {
        let report = scan("a.pkl", &[b"\x80\x04", parts.concat().as_slice(), b"."].concat());
        assert_eq!(report.verdict, wanted, "{:?}", report.findings);
        assert!(rule.is_empty() || report.findings.iter().any(|finding| finding.rule.id == rule), "{:?}", report.findings);
    }

    fn misused(parts: &[&[u8]]) {
        check(parts, Verdict::Blocked, "pickle.misused_global");
    }

    fn text(letters: &str) -> Vec<u8> {
        [&[0x8c, letters.len() as u8], letters.as_bytes()].concat()
    }

    /// A type of `size` bytes with these fields, its state not yet set, and the state.
    fn record(size: u8, fields: &[(&str, &[u8], u8)], flags: u8) -> [Vec<u8>; 2] {
        let code = [&b"cnumpy\ndtype\n"[..], &text(&format!("V{size}")), b"\x89\x88\x87R"].concat();
        let names: Vec<u8> = fields.iter().flat_map(|(name, ..)| text(name)).collect();
        let entry = |(name, dtype, offset): &(&str, &[u8], u8)| [&text(name), *dtype, &[b'K', *offset, 0x86, b's']].concat();
        let entries: Vec<u8> = fields.iter().flat_map(entry).collect();
        let state = [&b"(K\x03X\x01\0\0\0|N("[..], &names, b"t}", &entries, &[b'K', size, b'K', 1, b'K', flags, b't']].concat();
        [code, state]
    }

    fn made(size: u8, fields: &[(&str, &[u8], u8)], flags: u8) -> Vec<u8> {
        let [code, state] = record(size, fields, flags);
        [&code[..], &state, b"b"].concat()
    }

    #[test]
    fn types_as_numpy_writes_them_are_clean() {
        let objects = [OBJECT, b"(K\x03X\x01\0\0\0|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"].concat();
        let inner = made(8, &[("b", &objects, 0)], 27);
        for dtype in [
            OBJECT.to_vec(),
            FLOAT.to_vec(),
            objects.clone(),
            made(16, &[("a", FLOAT, 0), ("b", FLOAT, 8)], 16),
            made(16, &[("a", FLOAT, 0), ("b", FLOAT, 4)], 16),
            made(16, &[("a", FLOAT, 0), ("b", &objects, 8)], 27),
            made(8, &[("a", &inner, 0)], 27),
        ] {
            check(&[&dtype], Verdict::Clean, "");
        }
    }

    #[test]
    fn false_flags_are_misuse() {
        // Of objects, in a field, in a field of a field, over an object; and objects where there are none.
        misused(&[OBJECT, b"(K\x03X\x01\0\0\0|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"]);
        misused(&[&made(8, &[("a", OBJECT, 0)], 0)]);
        misused(&[&made(8, &[("a", OBJECT, 0)], 1)]);
        misused(&[&made(8, &[("b", &made(8, &[("a", OBJECT, 0)], 27), 0)], 16)]);
        misused(&[&made(8, &[("a", OBJECT, 0), ("b", FLOAT, 0)], 27)]);
        misused(&[&made(8, &[("a", FLOAT, 0)], 27)]);
        misused(&[FLOAT, b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"]);
        // Outside of the item, and a name that is no field.
        misused(&[&made(8, &[("a", FLOAT, 1)], 16)]);
        let renamed = made(8, &[("a", FLOAT, 0)], 16);
        let at = renamed.iter().position(|byte| *byte == b'a').unwrap();
        misused(&[&renamed[..at], b"z", &renamed[at + 1..]]);
    }

    #[test]
    fn what_is_not_known_is_misuse() {
        // A text that is no plain type, a class in its place, a state that is made while loading.
        let state = b"(K\x03X\x01\0\0\0|NNNK\x08K\x01K\0tb";
        misused(&[b"cnumpy\ndtype\nX\x05\0\0\0i4,O8\x89\x88\x87R", state]);
        misused(&[b"cnumpy\ndtype\ncnumpy\nobject_\n\x89\x88\x87R", state]);
        misused(&[FLOAT, b"0", OBJECT, b"cbuiltins\ntuple\n]\x85Rb"]);
    }

    #[test]
    fn a_type_does_not_change_after_it_was_used() {
        // Set twice, set by way of the memo, and its fields set later.
        let [code, state] = record(8, &[("a", FLOAT, 0)], 16);
        check(&[&code, &state, b"b"], Verdict::Clean, "");
        misused(&[&code, &state, b"b", &state, b"b"]);
        misused(&[&code, b"\x940h\0", &state, b"b"]);
        let [code, state] = record(8, &[], 16);
        let memoized = [&state[..state.len() - 7], b"\x94", &state[state.len() - 7..]].concat();
        check(&[&code, &memoized, b"b"], Verdict::Clean, "");
        let later = [&b"0h\0"[..], &text("a"), OBJECT, b"K\0\x86s"].concat();
        check(&[&code, &memoized, b"b", &later], Verdict::Blocked, "pickle.build_target");
    }
}
