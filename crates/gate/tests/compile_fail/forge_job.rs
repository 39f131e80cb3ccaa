//! A job's identity without the key that the gate gives out once.
use gate::JobKey;

fn main() {
    let _forged = JobKey { _private: () };
}
