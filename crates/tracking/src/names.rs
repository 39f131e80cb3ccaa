//! Names for runs that come without one: three words that are easy to say and to tell apart.

use kernel::random_bytes;

const KINDS: [&str; 32] = [
    "amber", "brisk", "calm", "clear", "coral", "crisp", "dapper", "eager", "early", "fair", "fleet", "fresh", "gentle",
    "golden", "honest", "ivory", "jolly", "keen", "lucid", "merry", "mild", "neat", "nimble", "pale", "plucky", "quiet", "rapid",
    "sandy", "silver", "steady", "sunny", "tidy",
];

const THINGS: [&str; 32] = [
    "acorn", "aspen", "badger", "beech", "birch", "brook", "cedar", "clover", "cliff", "coast", "delta", "dune", "falcon",
    "fern", "fjord", "grove", "harbor", "heron", "inlet", "juniper", "kestrel", "lagoon", "larch", "lynx", "maple", "meadow",
    "otter", "pine", "raven", "reef", "tern", "willow",
];

/// A random name such as `quiet-heron-417`.
pub(crate) fn random_run_name() -> String {
    let [kind, thing, high, low] = random_bytes::<4>();
    let word = |words: &[&'static str; 32], byte: u8| words.get(usize::from(byte & 31)).copied().unwrap_or("run");
    let number = (u16::from(high) << 8 | u16::from(low)) % 1_000;
    format!("{}-{}-{number}", word(&KINDS, kind), word(&THINGS, thing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_parts() {
        let name = random_run_name();
        assert_eq!(name.split('-').count(), 3, "{name}");
        assert!(name.len() <= 20, "{name}");
    }
}
