//! Ids of rows of which there are very many.

use kernel::{Micros, hex, random_bytes_for_id};

/// A random id as [`kernel::random_id`] makes them, but that it begins with the time: 48 bits of milliseconds, then 80 random ones, as version 7
/// of RFC 9562 has it. An index over such ids grows at its end; among ids that are all random each new row changes another page of it, which
/// the next commit and checkpoint must write. For ids that nobody is told, or that may say when they were made.
#[must_use]
pub fn row_id(at: Micros) -> String {
    let millis = (at.0.max(0) / 1_000).to_be_bytes();
    let mut bytes = [0_u8; 16];
    let parts = millis.into_iter().skip(2).chain(random_bytes_for_id::<10>());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_the_order_of_time_and_never_twice() {
        let at = |millis: i64| row_id(Micros(millis * 1_000));
        assert!(at(1_700_000_000_000) < at(1_700_000_000_001));
        assert!(at(255) < at(256) && at(-1).starts_with("000000000000"));
        assert!(at(1_700_000_000_000).starts_with("018bcfe56800"));
        let ids: std::collections::HashSet<String> = (0..1_000).map(|_| at(7)).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
