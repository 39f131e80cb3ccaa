//! SciPy's distributions execute a text of their state when it is set (`rv_generic.__setstate__`). It must be the one that
//! SciPy makes from the names of the shape parameters.

use super::machine::Machine;
use super::reader::Halt;
use super::value::Value;

/// The attribute whose text is executed.
const TEMPLATE: &str = "_parse_arg_template";
/// The other attributes that SciPy writes. Any other name could stand in for a method that is called while the state is set.
const ATTRIBUTES: [&str; 32] = [
    "__doc__",
    "_cdfvec",
    "_ctor_param",
    "_density",
    "_hbin_widths",
    "_hbins",
    "_hcdf",
    "_histogram",
    "_hpdf",
    "_ppfvec",
    "_random_state",
    "_stats_has_moments",
    "_support",
    "a",
    "b",
    "badvalue",
    "extradoc",
    "generic_moment",
    "inc",
    "longname",
    "moment_tol",
    "moment_type",
    "name",
    "numargs",
    "pk",
    "qvals",
    "shapes",
    "vecentropy",
    "xa",
    "xb",
    "xk",
    "xtol",
];
const TEMPLATE_BYTES_MAX: u64 = 4_096;
const NAME_BYTES_MAX: u64 = 256;

/// What is wrong with the state of a distribution, if anything is.
pub(super) fn problem(machine: &Machine<'_, '_, '_>, state: Value) -> Result<Option<&'static str>, Halt> {
    let Some(entries) = machine.heap.state(state) else {
        return Ok(Some("the state of a distribution is no plain dictionary, or has more entries than the scanner follows"));
    };
    for (key, value) in entries {
        let Some(name) = machine.text_of(*key, NAME_BYTES_MAX)? else {
            return Ok(Some("the state of a distribution has odd names"));
        };
        if ATTRIBUTES.contains(&name.as_str()) {
            continue;
        }
        if name != TEMPLATE {
            return Ok(Some(
                "the state of a distribution has attributes that SciPy does not write; some are called when it is set",
            ));
        }
        let text = machine.text_of(*value, TEMPLATE_BYTES_MAX)?;
        if !text.is_some_and(|text| is_of_scipy(&text)) {
            return Ok(Some("the state of a distribution holds a program that is not SciPy's; setting it runs the program"));
        }
    }
    Ok(None)
}

/// Whether the text is three definitions whose only free parts are lists of parameter names.
fn is_of_scipy(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let [first, first_body, second, second_body, third, third_body] = lines.as_slice() else { return false };
    let between = |line: &str, start: &str, end: &str| {
        line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(is_list)
    };
    between(first, "def _parse_args(self, ", "):")
        && tuple_and(first_body, "    return (", "")
        && between(second, "def _parse_args_rvs(self, ", ", size=None):")
        && between(second_body, "    return self._argcheck_rvs(", ", size=size)")
        && between(third, "def _parse_args_stats(self, ", ", moments='mv'):")
        && tuple_and(third_body, "    return (", ", moments")
}

/// `(names), names`.
fn tuple_and(line: &str, start: &str, end: &str) -> bool {
    let inner = line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).and_then(|rest| rest.split_once("), "));
    inner.is_some_and(|(shapes, rest)| is_list(shapes) && is_list(rest))
}

/// Names and `name=number` with commas between them.
fn is_list(text: &str) -> bool {
    text.split(',').map(str::trim).all(|item| {
        let (name, value) = item.split_once('=').unwrap_or((item, "0"));
        let named = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && !name.starts_with(|letter: char| letter.is_ascii_digit() && name.len() > 1);
        named && !value.is_empty() && value.chars().all(|letter| letter.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BETA: &str = "\ndef _parse_args(self, a, b, loc=0, scale=1):\n    return (a, b), loc, scale\n\n\
        def _parse_args_rvs(self, a, b, loc=0, scale=1, size=None):\n    return self._argcheck_rvs(a, b, loc, scale, size=size)\n\n\
        def _parse_args_stats(self, a, b, loc=0, scale=1, moments='mv'):\n    return (a, b), loc, scale, moments\n";

    #[test]
    fn only_the_text_of_scipy_is_taken() {
        let no_shapes = BETA.replace("a, b, ", "").replace("(a, b)", "()");
        let discrete = BETA.replace(", scale=1", "").replace("loc, scale", "loc, 1");
        for text in [BETA, &no_shapes, &discrete] {
            assert!(is_of_scipy(text), "{text}");
        }
        for text in [
            BETA.replace("(a, b)", "(a, __import__('os'))"),
            BETA.replace("loc=0", "loc=exit()"),
            BETA.replacen("def", "import os\ndef", 1),
            BETA.replace("scale, moments", "scale, moments; x"),
            BETA.replace("self, a", "self, a=b.c"),
            String::new(),
        ] {
            assert!(!is_of_scipy(&text), "{text}");
        }
    }
}
