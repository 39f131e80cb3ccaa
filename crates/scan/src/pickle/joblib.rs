//! joblib's arrays: after the `BUILD` of a `NumpyArrayWrapper`, the array's bytes stand in the stream.
//!
//! joblib's reader takes them and goes on behind; pickle's own takes them for instructions. Since joblib 1.2 the first byte
//! is a count of padding from 1 to 16, which is no instruction, so pickle's own reader stops there.

use crate::rules;

use super::machine::{Ending, Machine};
use super::reader::{Halt, Reader, Reading};
use super::value::Value;

/// The greatest padding, and the alignment that joblib asks for.
const ALIGNMENT_BYTES: u8 = 16;
const DIMENSIONS_MAX: usize = 64;

/// What the wrapper says of the array.
struct Array {
    bytes: u64,
    has_objects: bool,
    has_letters: bool,
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
    let start = machine.reader.claim(array.bytes)?;
    if array.has_letters {
        machine.check_letters(start, array.bytes)?;
    }
    machine.replace_top(Value::Computed)
}

fn facts(machine: &mut Machine<'_, '_, '_>, state: Value) -> Result<Option<Array>, Halt> {
    let Some(entries) = machine.heap.state(state) else { return Ok(None) };
    let (mut shape, mut dtype, mut aligned) = (None, None, false);
    for &(key, value) in entries {
        match machine.text_of(key, 64)?.as_deref() {
            Some("shape") => shape = Some(value),
            Some("dtype") => dtype = Some(value),
            Some("numpy_array_alignment_bytes") => match value {
                Value::Int(bytes) if bytes == i64::from(ALIGNMENT_BYTES) => aligned = true,
                Value::None => aligned = false,
                _ => return Ok(None),
            },
            Some("subclass" | "order" | "allow_mmap") => {}
            // Any other attribute could stand in for a method of the wrapper's, which then would not take the bytes.
            _ => return Ok(None),
        }
    }
    let Some(count) = shape.and_then(|shape| item_count(machine, shape)) else { return Ok(None) };
    let Some(dtype) = dtype.and_then(|dtype| machine.heap.dtype_facts(dtype)) else { return Ok(None) };
    let Some(has_objects) = dtype.has_objects else { return Ok(None) };
    let has_letters = matches!(dtype.kind, b'U' | b'V');
    let bytes = dtype.item_bytes.and_then(|size| size.checked_mul(count));
    Ok(bytes.map(|bytes| Array { bytes, has_objects, has_letters, aligned }))
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
    let mut inner = Machine::new(Reader::new(window, start, Reading::Contiguous), machine.depth + 1, machine.trace);
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

#[cfg(test)]
mod tests {
    use crate::Verdict;
    use crate::tests::scan;

    /// `joblib.dump([numpy.arange(2.0), "x"])`, in parts: the wrapper, the padding, the array, the rest.
    fn parts() -> [Vec<u8>; 4] {
        let wrapper = b"\x80\x04\x95\xd4\0\0\0\0\0\0\0]\x94(\x8c\x13joblib.numpy_pickle\x94\x8c\x11NumpyArrayWrapper\x94\x93\x94)\x81\x94}\x94(\
            \x8c\x08subclass\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94\x8c\x05shape\x94K\x02\x85\x94\x8c\x05order\x94\x8c\x01C\x94\
            \x8c\x05dtype\x94h\x07\x8c\x05dtype\x94\x93\x94\x8c\x02f8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t\x94b\
            \x8c\nallow_mmap\x94\x88\x8c\x1bnumpy_array_alignment_bytes\x94K\x10ub";
        let rest = b"\x95\x06\0\0\0\0\0\0\0\x8c\x01x\x94e.";
        [wrapper.to_vec(), [&[16][..], &[0xff; 16]].concat(), vec![0; 16], rest.to_vec()]
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut [Vec<u8>; 4]), wanted: Verdict, rule: &str) {
        let mut parts = parts();
        change(&mut parts);
        let report = scan("a.joblib", &parts.concat());
        assert_eq!(report.verdict, wanted, "{:?}", report.findings);
        assert!(rule.is_empty() || report.findings.iter().any(|finding| finding.rule.id == rule), "{:?}", report.findings);
    }

    fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes.splice(at..at + from.len(), to.iter().copied());
    }

    #[test]
    fn the_bytes_of_an_array_are_passed_over_and_nothing_else() {
        check(|_| {}, Verdict::Clean, "");
        // What looks like instructions in the array is none; what stands behind it is.
        check(|parts| parts[2] = b"cos\nsystem\n).NNN".to_vec(), Verdict::Clean, "");
        check(|parts| parts[3] = b"0cos\nsystem\n.".to_vec(), Verdict::Blocked, "pickle.dangerous_global");
        check(|parts| parts[2].extend(b"cos\nsystem\n)"), Verdict::Blocked, "pickle.dangerous_global");
    }

    #[test]
    fn arrays_on_which_readers_could_differ_are_not_clean() {
        check(|parts| parts[1][0] = 17, Verdict::Blocked, "joblib.array");
        check(|parts| parts[1][0] = 0, Verdict::Blocked, "joblib.array");
        check(|parts| replace(&mut parts[0], b"K\x02\x85", b"K\x03\x85"), Verdict::Blocked, "");
        check(|parts| replace(&mut parts[0], b"f8", b"q8"), Verdict::Blocked, "joblib.array");
        check(|parts| replace(&mut parts[0], b"K\x02\x85", b"K\x02K\x03"), Verdict::Blocked, "");
        // An attribute that stands in for the method that takes the bytes.
        check(
            |parts| replace(&mut parts[0], b"\x8c\nallow_mmap\x94\x88", b"\x8c\x04read\x94cbuiltins\nslice\n"),
            Verdict::Blocked,
            "joblib.array",
        );
        // A frame that goes on over the array.
        check(|parts| parts[0][3] = 0xf0, Verdict::Blocked, "joblib.array");
        // An array of objects is a pickle.
        let objects = |parts: &mut [Vec<u8>; 4], inner: &[u8]| {
            replace(&mut parts[0], b"f8", b"O8");
            replace(&mut parts[0], b"\x8c\x01<", b"\x8c\x01|");
            replace(&mut parts[0], b"K\0t", b"K?t");
            parts[1].clear();
            parts[2] = inner.to_vec();
        };
        check(|parts| objects(parts, b"\x80\x02]."), Verdict::Clean, "");
        check(|parts| objects(parts, b"\x80\x02cos\nsystem\n)R."), Verdict::Blocked, "pickle.dangerous_global");
    }
}
