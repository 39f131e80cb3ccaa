//! joblib's arrays: after the `BUILD` of a `NumpyArrayWrapper`, the array's bytes stand in the stream.
//!
//! joblib's reader takes them and goes on behind; pickle's own takes them for instructions. Since joblib 1.2 the first byte
//! is a count of padding from 1 to 16, which is no instruction, so pickle's own reader stops there.

use crate::rules;

use super::machine::{Ending, Machine};
use super::reader::{Halt, Reading};
use super::value::Value;

/// The greatest padding, and the alignment that joblib asks for.
const ALIGNMENT_BYTES: u8 = 16;
const DIMENSIONS_MAX: usize = 64;

/// What the wrapper says of the array.
struct Array {
    bytes: u64,
    has_objects: bool,
    aligned: bool,
}

/// Takes the bytes of the array whose wrapper is on top of the stack.
pub(super) fn array(machine: &mut Machine<'_, '_, '_>, state: Value) -> Result<(), Halt> {
    let at = machine.at;
    if machine.reader.open_frame().is_some() {
        machine.trace.note(rules::JOBLIB, at, "an array begins inside of a frame");
        return machine.replace_top(Value::Computed);
    }
    let Some(array) = facts(machine, state)? else {
        machine.trace.note(rules::JOBLIB, at, "the shape or the type of an array is not written plainly in the file");
        return machine.replace_top(Value::Computed);
    };
    if array.has_objects {
        nested(machine)?;
        return machine.replace_top(Value::Computed);
    }
    if array.aligned {
        let padding = machine.reader.byte()?;
        if !(1..=ALIGNMENT_BYTES).contains(&padding) {
            machine.trace.note(rules::JOBLIB, at, format!("an array is padded with {padding} bytes; joblib pads with 1 to 16"));
        }
        machine.reader.claim(u64::from(padding))?;
    } else {
        machine.trace.note(rules::JOBLIB_OLD, at, "save it again with joblib 1.2 or later");
    }
    machine.reader.claim(array.bytes)?;
    machine.replace_top(Value::Computed)
}

fn facts(machine: &mut Machine<'_, '_, '_>, state: Value) -> Result<Option<Array>, Halt> {
    let Some(entries) = machine.heap.entries(state) else { return Ok(None) };
    if entries.open {
        return Ok(None);
    }
    let pairs = entries.pairs.clone();
    let (mut shape, mut dtype, mut aligned) = (None, None, false);
    for (key, value) in pairs {
        match machine.text_of(key, 64)?.as_deref() {
            Some("shape") => shape = Some(value),
            Some("dtype") => dtype = Some(value),
            Some("numpy_array_alignment_bytes") => match value {
                Value::Int(bytes) if bytes == i64::from(ALIGNMENT_BYTES) => aligned = true,
                Value::None => aligned = false,
                _ => return Ok(None),
            },
            Some(_) => {}
            None => return Ok(None),
        }
    }
    let Some(count) = shape.and_then(|shape| item_count(machine, shape)) else { return Ok(None) };
    let Some(dtype) = dtype.and_then(|dtype| machine.heap.dtype_facts(dtype)).copied() else { return Ok(None) };
    let Some(has_objects) = dtype.has_objects else { return Ok(None) };
    let bytes = dtype.item_bytes.and_then(|size| size.checked_mul(count));
    Ok(bytes.map(|bytes| Array { bytes, has_objects, aligned }))
}

fn item_count(machine: &Machine<'_, '_, '_>, shape: Value) -> Option<u64> {
    let dimensions = machine.heap.items_of(shape)?;
    if dimensions.len() > DIMENSIONS_MAX {
        return None;
    }
    dimensions.iter().try_fold(1_u64, |count, dimension| match dimension {
        Value::Int(length) => count.checked_mul(u64::try_from(*length).ok()?),
        _ => None,
    })
}

/// An array of objects is a pickle of its own in the stream.
fn nested(machine: &mut Machine<'_, '_, '_>) -> Result<(), Halt> {
    if machine.depth >= crate::limits::NESTED_PICKLE_DEPTH_MAX {
        return Err(Halt::Limit("pickles stand in pickles deeper than the scanner follows"));
    }
    let start = machine.reader.position();
    let window = machine.reader.window;
    let mut inner = Machine::new(window, start, Reading::Contiguous, machine.depth + 1, machine.trace);
    let ending = inner.run()?;
    let diverged = inner.reader.diverged;
    if let Some(offset) = diverged {
        machine.trace.note(rules::FRAME, offset, "an instruction crosses the end of a frame");
    }
    match ending {
        Ending::Stopped { next, .. } => {
            machine.reader.jump(next);
            Ok(())
        }
        Ending::Broken { why, .. } => Err(Halt::Broken(why)),
        Ending::Limit { why, .. } => Err(Halt::Limit(why)),
    }
}
