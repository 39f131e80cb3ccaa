//! Networks that a file lists: refused ones, and those whose addresses say nothing of where somebody is.
//!
//! A line is an address, a range `192.0.2.0/24`, or a network's number `AS64500`; `#` begins a remark.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::geo::Whence;

/// Lines of a file. The list of Tor's exits has some thousand.
pub const LINE_COUNT_MAX: usize = 1_000_000;
/// Bytes of a file.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Ranges in order, none overlapping; IPv4 as the addresses that IPv6 has for them.
    ranges: Vec<(u128, u128)>,
    numbers: HashSet<u32>,
}

impl Networks {
    /// Reads a list.
    ///
    /// # Errors
    /// The line that is none of the three, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if at >= LINE_COUNT_MAX {
                return Err(format!("there are more than {LINE_COUNT_MAX} lines"));
            }
            match line.strip_prefix("AS").map(str::parse::<u32>) {
                Some(Ok(number)) => drop(networks.numbers.insert(number)),
                _ => networks.ranges.push(range(line).ok_or_else(|| {
                    let shown: String = line.chars().take(60).collect();
                    format!(
                        "line {} is `{shown}`; an address, a range as `192.0.2.0/24` or a network as `AS64500` is expected",
                        at + 1
                    )
                })?),
            }
        }
        networks.ranges.sort_unstable();
        networks.ranges.dedup_by(|next, before| {
            let overlaps = next.0 <= before.1;
            if overlaps {
                before.1 = before.1.max(next.1);
            }
            overlaps
        });
        Ok(networks)
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr, whence: Whence) -> bool {
        let bits = bits(address.to_canonical());
        let at = self.ranges.partition_point(|(first, _)| *first <= bits);
        let in_range = at.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|(_, last)| bits <= *last);
        in_range || whence.network.is_some_and(|network| self.numbers.contains(&network))
    }

    /// How many entries it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ranges.len() + self.numbers.len()
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn range(text: &str) -> Option<(u128, u128)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(length.parse::<u32>().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let offset = if address.is_ipv4() { 96 } else { 0 };
    let length = length.unwrap_or(128 - offset);
    if length > 128 - offset {
        return None;
    }
    let rest = u128::MAX.checked_shr(length + offset).unwrap_or(0);
    let first = bits(address) & !rest;
    Some((first, first | rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ranges_and_numbers_are_found() {
        let text = "# exits\n192.0.2.7\n198.51.100.0/24 # a whole one\n198.51.100.128/25\n2001:db8::/32\nAS64500\n\n";
        let networks = Networks::parse(text).unwrap();
        assert_eq!(networks.count(), 4);
        let has = |address: &str, network| networks.contains(address.parse().unwrap(), Whence { network, ..Whence::default() });
        assert!(has("192.0.2.7", None) && !has("192.0.2.8", None));
        assert!(has("198.51.100.255", None) && has("::ffff:198.51.100.1", None) && !has("198.51.101.0", None));
        assert!(has("2001:db8:ffff::1", None) && !has("2001:db9::", None));
        assert!(has("9.9.9.9", Some(64_500)) && !has("9.9.9.9", Some(64_501)));
        assert!(!Networks::default().contains("9.9.9.9".parse().unwrap(), Whence::default()));
        assert!(Networks::parse("0.0.0.0/0").unwrap().contains("9.9.9.9".parse().unwrap(), Whence::default()));
    }

    #[test]
    fn a_line_that_means_nothing_is_refused() {
        for line in ["192.0.2.0/33", "ASx", "example.com", "2001:db8::/129", "192.0.2.0/-1"] {
            assert!(Networks::parse(&format!("192.0.2.1\n{line}")).unwrap_err().contains("line 2"), "{line}");
        }
    }
}
