//! A permit made by hand.
use gate::Permit;

struct Verb;

fn main() {
    let _forged: Permit<Verb> = Permit { act: unreachable!(), verb: std::marker::PhantomData };
}
