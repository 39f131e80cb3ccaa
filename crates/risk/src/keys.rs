//! What things are remembered by: 128 bits of a hash under a key of this process, never the thing itself.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

/// A keyed hash.
pub(crate) type Key = [u8; 16];

/// A network: the first 24 bits of an IPv4 address, the first 64 of an IPv6 one. That is what one household or machine gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network([u8; 9]);

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        let mut bytes = [0_u8; 9];
        let (family, prefix) = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                (4, [a, b, c, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                (6, [a, b, c, d, e, f, g, h])
            }
        };
        for (to, from) in bytes.iter_mut().zip(std::iter::once(family).chain(prefix)) {
            *to = from;
        }
        Self(bytes)
    }

    /// An address as a whole, or its network for IPv6, where one machine has 2^64 addresses.
    pub(crate) fn of_one(address: IpAddr) -> Self {
        let Self(mut bytes) = Self::of(address);
        if let (IpAddr::V4(v4), [_, _, _, _, last, ..]) = (address.to_canonical(), &mut bytes) {
            let [_, _, _, own] = v4.octets();
            *last = own;
        }
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes keys: the standard library's keyed hash (SipHash-1-3 under 128 random bits) twice, told apart by a byte in front. Keys never
/// leave memory, so nobody can look for two things that have the same one, or for the thing behind it. It costs a fifth of a SHA-256,
/// and seven are made for each request.
/// Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012).
pub(crate) struct Keyed(RandomState);

impl Keyed {
    pub(crate) fn new() -> Self {
        Self(RandomState::new())
    }

    /// The key of `parts` in the list `what`.
    pub(crate) fn key(&self, what: &'static str, parts: &[&[u8]]) -> Key {
        let half = |number: u8| {
            let mut hasher = self.0.build_hasher();
            hasher.write_u8(number);
            for part in std::iter::once(what.as_bytes()).chain(parts.iter().copied()) {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            u128::from(hasher.finish())
        };
        ((half(1) << 64) | half(0)).to_be_bytes()
    }

    /// The key of an address, as [`Network::of_one`] takes it.
    pub(crate) fn address(&self, what: &'static str, address: IpAddr) -> Key {
        self.key(what, &[Network::of_one(address).bytes()])
    }

    /// The key of `parts` in one network.
    pub(crate) fn in_network(&self, what: &'static str, network: Network, part: &[u8]) -> Key {
        self.key(what, &[&network.0, part])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_neighbours_only() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("10.1.2.3"), of("10.1.2.250"));
        assert_eq!(of("10.1.2.3"), of("::ffff:10.1.2.9"));
        assert_ne!(of("10.1.2.3"), of("10.1.3.3"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        let one = |text: &str| Network::of_one(text.parse().unwrap());
        assert_ne!(one("10.1.2.3"), one("10.1.2.250"));
        assert_eq!(one("10.1.2.3"), one("::ffff:10.1.2.3"));
        assert_eq!(one("2001:db8:1:2::1"), one("2001:db8:1:2:ffff::1"));
    }

    #[test]
    fn keys_differ_by_list_part_and_process() {
        let (one, other) = (Keyed::new(), Keyed::new());
        assert_eq!(one.key("a", &[b"x"]), one.key("a", &[b"x"]));
        assert_ne!(one.key("a", &[b"x"]), one.key("b", &[b"x"]));
        assert_ne!(one.key("a", &[b"xy", b"z"]), one.key("a", &[b"x", b"yz"]));
        assert_ne!(one.key("a", &[b"x"]), other.key("a", &[b"x"]));
    }
}
