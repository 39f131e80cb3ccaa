//! A permit used twice.
use gate::Permit;

struct Verb;

fn twice(permit: Permit<Verb>) -> (Permit<Verb>, Permit<Verb>) {
    (permit.clone(), permit)
}

fn main() {
    let _ = twice;
}
