//! Telephone numbers: E.164, the North American plan, national numbers with a leading 0, and whatever stands beside a word
//! such as `phone`.

use super::numbers::{Cluster, Group};
use super::{Offer, Pass};
use crate::bytes::{at, before, number, part, run};
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// ITU-T E.164: digits of an international number, at most.
const DIGITS_MAX: usize = 15;

/// Whether the digits begin with a country code that is assigned.
fn has_country_code(digits: &[u8]) -> bool {
    let two = number(digits, 0, 2);
    match at(digits, 0) {
        1 | 7 => true,
        2 => matches!(two, 20 | 27) || matches!(number(digits, 0, 3), 211..=213 | 216 | 218 | 220..=269 | 290 | 291 | 297..=299),
        3 => matches!(two, 30..=34 | 36 | 39) || matches!(number(digits, 0, 3), 350..=359 | 370..=389),
        4 => two != 42 || matches!(number(digits, 0, 3), 420 | 421 | 423),
        5 => (51..=58).contains(&two) || matches!(number(digits, 0, 3), 500..=509 | 590..=599),
        6 => (60..=66).contains(&two) || (670..=692).contains(&number(digits, 0, 3)),
        8 => {
            matches!(two, 81 | 82 | 84 | 86)
                || matches!(number(digits, 0, 3), 800 | 808 | 850 | 852 | 853 | 855 | 856 | 870 | 880 | 886)
        }
        9 => {
            matches!(two, 90..=95 | 98)
                || (960..=979).contains(&number(digits, 0, 3))
                || (992..=998).contains(&number(digits, 0, 3))
        }
        _ => false,
    }
}

/// Whether ten digits are an area, an exchange and a line of the North American plan.
fn is_north_american(ten: &[u8]) -> bool {
    ten.len() == 10 && at(ten, 0) > 1 && at(ten, 3) > 1 && !(at(ten, 1) == 1 && at(ten, 2) == 1)
}

/// Numbers of countries whose own way of writing them has no 0 in front: what a bare number is worth is decided by words nearby.
fn national_score(digits: &[u8], groups: &[Group]) -> Option<f32> {
    let lengths: Vec<usize> = groups.iter().map(|group| group.end - group.start).collect();
    let bracketed = groups.iter().skip(1).any(|group| group.separator == b'(');
    let (first, second, third) = (at(digits, 0), at(digits, 1), at(digits, 2));
    match (lengths.as_slice(), first) {
        // China: 138 1234 5678.
        ([3, 4, 4], 1) if second >= 3 => Some(0.5),
        ([11], 1) if second >= 3 => Some(0.2),
        // Brazil: (11) 98765-4321, (11) 3456-7890.
        ([2, 5, 4], 1..=9) if second > 0 && third == 9 => Some(if bracketed { 0.6 } else { 0.45 }),
        ([2, 4, 4], 1..=9) if second > 0 && matches!(third, 2..=5) && bracketed => Some(0.5),
        // Russia: 8 (912) 345-67-89.
        ([1, 3, 3, 2, 2], 8) if matches!(second, 3 | 4 | 8 | 9) => Some(if bracketed { 0.6 } else { 0.5 }),
        ([11], 8) if second == 9 => Some(0.2),
        // Spain: 612 34 56 78; in threes it may as well be an amount.
        ([3, 2, 2, 2], 6..=9) => Some(0.5),
        ([3, 3, 3], 6 | 7 | 9) => Some(0.3),
        _ => None,
    }
}

impl Pass<'_> {
    pub(super) fn phone(&mut self, cluster: &Cluster) {
        let groups = cluster.groups();
        let Some(first) = groups.first() else { return };
        let plus = before(self.text, first.start) == b'+' || part(self.text, first.start.wrapping_sub(2), first.start) == b"+(";
        // The longest run of groups that has no more digits than a number may have.
        let mut total = 0;
        let mut count = 0;
        for group in groups {
            let length = group.end - group.start;
            if total + length > DIGITS_MAX || (total >= 7 && group.separator == b'/') {
                break;
            }
            total += length;
            count += 1;
        }
        while count > 0 {
            let used = groups.get(..count).unwrap_or_default();
            if let Some(base) = self.phone_score(cluster, used, plus) {
                self.offer_phone(used, plus, base);
                return;
            }
            count -= 1;
        }
    }

    fn phone_score(&self, cluster: &Cluster, groups: &[Group], plus: bool) -> Option<f32> {
        let last = groups.last()?;
        if self.glued_right(last.end) && !matches!(at(self.text, last.end), b'x' | b'X') {
            return None;
        }
        let digits = cluster.digits(self.text, groups.len())?;
        let digits = digits.list();
        let total = digits.len();
        let grouped = groups.len() > 1;
        let dotted = groups.iter().skip(1).any(|group| group.separator == b'.');
        if plus {
            let whole = if at(digits, 0) == 1 { total == 11 } else { (8..=DIGITS_MAX).contains(&total) };
            return (whole && has_country_code(digits)).then_some(0.75);
        }
        if digits.starts_with(&[0, 0]) && total >= 10 && has_country_code(part(digits, 2, total)) {
            return Some(if grouped { 0.5 } else { 0.2 });
        }
        if let Some(base) = national_score(digits, groups) {
            return Some(base);
        }
        let mut lengths = groups.iter().map(|group| group.end - group.start);
        let national = if at(digits, 0) == 1 && total == 11 { part(digits, 1, total) } else { digits };
        if is_north_american(national) {
            let lengths: Vec<usize> = lengths.collect();
            let shaped = matches!(lengths.as_slice(), [3, 3, 4] | [1, 3, 3, 4]);
            let spaces = groups.iter().skip(1).all(|group| group.separator == b' ');
            return Some(match (shaped, spaces) {
                (true, false) => 0.6,
                (true, true) => 0.45,
                _ if !grouped => 0.15,
                _ => 0.2,
            });
        }
        if at(digits, 0) == 0
            && grouped
            && (9..=11).contains(&total)
            && lengths.next().is_some_and(|first| (2..=5).contains(&first))
        {
            return Some(if dotted { 0.35 } else { 0.5 });
        }
        ((7..=DIGITS_MAX).contains(&total) && !(dotted && groups.len() == 2)).then_some(if grouped { 0.2 } else { 0.15 })
    }

    fn offer_phone(&mut self, groups: &[Group], plus: bool, base: f32) {
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return };
        let mut start = first.start;
        while start > 0 && matches!(before(self.text, start), b'(' | b'+') && first.start - start < 2 {
            start -= 1;
        }
        if plus && super::is_code_byte(before(self.text, start)) {
            return;
        }
        let end = self.after_extension(last.end);
        let near = self.near(start, end);
        let fax = near.distance(Topic::Fax).is_some_and(|fax| near.distance(Topic::Phone).is_none_or(|phone| fax < phone));
        let (kind, topic) = if fax { (Kind::Fax, Topic::Fax) } else { (Kind::Phone, Topic::Phone) };
        self.offer(Offer { kind, start, end, base, topic: Some(topic), why: Why::of(Reason::Pattern) });
    }

    /// The end of `x123` or ` ext. 123` behind a number, or the number's own.
    fn after_extension(&self, end: usize) -> usize {
        let mut place = end;
        if at(self.text, place) == b' ' {
            place += 1;
        }
        for word in [&b"extension "[..], b"ext. ", b"ext.", b"ext ", b"x"] {
            if part(self.text, place, place + word.len()).eq_ignore_ascii_case(word) {
                let from = place + word.len();
                let to = run(self.text, from, 6, |byte| byte.is_ascii_digit());
                return if to > from { to } else { end };
            }
        }
        end
    }
}
