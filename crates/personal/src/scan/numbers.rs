//! Groups of digits with separators between them, matched against the rules.

use super::rules::separators_fit;
use super::{Offer, Pass};
use crate::bytes::{Digits, at, before, run};
use crate::checks;
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// Groups of one cluster, at most.
const GROUP_COUNT_MAX: usize = 12;
/// Bytes of one cluster, at most.
const CLUSTER_BYTES_MAX: usize = 48;
/// Bytes between two groups, at most: `) (`.
const SEPARATOR_BYTES_MAX: usize = 3;

/// A run of digits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    pub start: usize,
    pub end: usize,
    /// The byte that stands before it: a space, `-`, `.`, `/`, or `(` for any of several. 0 for the first group.
    pub separator: u8,
}

/// Runs of digits that may belong together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cluster {
    groups: [Group; GROUP_COUNT_MAX],
    count: usize,
}

impl Cluster {
    /// The cluster that starts at `start`.
    pub fn at(text: &[u8], start: usize) -> Self {
        let mut cluster = Self::default();
        let (mut place, mut separator) = (start, 0);
        while let Some(slot) = cluster.groups.get_mut(cluster.count) {
            let end = run(text, place, CLUSTER_BYTES_MAX, |byte| byte.is_ascii_digit());
            let next = at(text, end);
            // An extension such as `x12` ends the number; any other letter makes a code of it.
            let extension = matches!(next, b'x' | b'X') && at(text, end + 1).is_ascii_digit();
            if end == place || end - start > CLUSTER_BYTES_MAX || (super::is_code_byte(next) && !extension) {
                break;
            }
            *slot = Group { start: place, end, separator };
            cluster.count += 1;
            let gap = run(text, end, SEPARATOR_BYTES_MAX, |byte| b" -./()".contains(&byte));
            if gap == end || extension {
                break;
            }
            separator = if gap - end == 1 { next } else { b'(' };
            place = gap;
        }
        cluster
    }

    pub fn groups(&self) -> &[Group] {
        self.groups.get(..self.count).unwrap_or_default()
    }

    /// The first `count` groups' digits, if there are so many groups.
    pub fn digits(&self, text: &[u8], count: usize) -> Option<Digits> {
        let (first, last) = (self.groups().first()?, self.groups().get(count.checked_sub(1)?)?);
        Digits::of(text.get(first.start..last.end)?)
    }
}

impl Pass<'_> {
    /// A word of digits alone.
    pub(super) fn number(&mut self, start: usize, end: usize) {
        if self.date(start) {
            return;
        }
        if end - start <= 3 {
            self.age(start, end);
        } else if end - start == 4 {
            self.year(start, end);
        }
        if self.glued_left(start) {
            self.mac_around(start, end);
            return;
        }
        let cluster = Cluster::at(self.text, start);
        self.steps += cluster.groups().last().map_or(0, |group| group.end - start) as u64;
        if self.ip_address(&cluster) {
            return;
        }
        self.mac_around(start, end);
        if end - start < crate::bytes::Digits::MAX {
            self.ruled(&cluster, end - start);
            self.phone(&cluster);
            self.nino_in_groups(&cluster);
            self.hetu(start, end);
            self.contextual(start, end);
            self.postal_code(start, end);
        }
    }

    fn ruled(&mut self, cluster: &Cluster, first_digits: usize) {
        let patterns = self.patterns;
        for rule in patterns.numbers.starting(first_digits) {
            let Some(groups) = cluster.groups().get(..rule.shape.len()) else { continue };
            let (Some(first), Some(last)) = (groups.first(), groups.last()) else { continue };
            let fits = groups.iter().zip(rule.shape).all(|(group, length)| group.end - group.start == usize::from(*length))
                && separators_fit(rule.separators, groups.iter().skip(1).map(|group| group.separator))
                && !self.glued_right(last.end);
            if fits && cluster.digits(self.text, groups.len()).is_some_and(|digits| (rule.check)(digits.list())) {
                let (start, end) = (first.start, last.end);
                let (kind, base, topic, why) = (rule.kind, rule.base, Some(rule.topic), rule.why);
                self.offer(Offer { kind, start, end, base, topic, why });
            }
        }
    }

    fn ip_address(&mut self, cluster: &Cluster) -> bool {
        let Some([first, middle @ .., last]) = cluster.groups().get(..4) else { return false };
        let dotted = middle.iter().chain([last]).all(|group| group.separator == b'.');
        let text = self.text.get(first.start..last.end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let Ok(address) = text.parse::<std::net::Ipv4Addr>() else { return false };
        if !dotted || matches!(at(self.text, last.end), b'.' | b'-') && at(self.text, last.end + 1).is_ascii_alphanumeric() {
            return false;
        }
        let [a, b, c, d] = address.octets();
        // Four small numbers are a version more often than a host.
        let base = match (a, b, c, d) {
            (0, ..) | (255, ..) => 0.1,
            _ if a < 20 && b < 20 && c < 20 && d < 20 => 0.3,
            _ if address.is_private() || address.is_loopback() || address.is_link_local() => 0.55,
            _ => 0.65,
        };
        let why = Why::of(Reason::Pattern).and(Reason::Range);
        self.offer(Offer { kind: Kind::IpAddress, start: first.start, end: last.end, base, topic: Some(Topic::Network), why });
        true
    }

    /// `AB 12 34 56 C`.
    fn nino_in_groups(&mut self, cluster: &Cluster) {
        let Some([first, _, last]) = cluster.groups().get(..3) else { return };
        let start = first.start.wrapping_sub(3);
        if before(self.text, first.start) != b' ' || at(self.text, last.end) != b' ' || last.end - first.start != 8 {
            return;
        }
        let Some(whole) = self.text.get(start..last.end + 2) else { return };
        let code: Vec<u8> = whole.iter().copied().filter(|byte| *byte != b' ').collect();
        let free = !super::is_code_byte(before(self.text, start)) && !super::is_code_byte(at(self.text, last.end + 2));
        if free && checks::nino(&code) {
            let why = Why::of(Reason::Pattern).and(Reason::Range);
            self.offer(Offer { kind: Kind::UkNino, start, end: last.end + 2, base: 0.75, topic: Some(Topic::Nino), why });
        }
    }

    /// `131052-308T`; with a letter for the century it is one word, and a code.
    fn hetu(&mut self, start: usize, end: usize) {
        if end - start == 6 && matches!(at(self.text, end), b'-' | b'+') && !super::is_code_byte(at(self.text, start + 11)) {
            let whole = self.text.get(start..start + 11).unwrap_or_default();
            if checks::hetu(whole) {
                let why = Why::of(Reason::Pattern).and(Reason::Checksum);
                self.offer(Offer { kind: Kind::FiHetu, start, end: start + 11, base: 0.85, topic: Some(Topic::Nordic), why });
            }
        }
    }
}
