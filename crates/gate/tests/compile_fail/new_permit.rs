//! A permit asked of its own constructor.
use gate::Permit;

struct Verb;

fn main() {
    let _forged: Permit<Verb> = Permit::new(unreachable!());
}
