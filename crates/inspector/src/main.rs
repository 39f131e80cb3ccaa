//! The inspection worker: reads untrusted data in a process that holds no key and reaches nothing.

fn main() {}
