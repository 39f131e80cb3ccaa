//! E-mail, web and network addresses.

use super::domains::{domain_score, is_mail_domain};
use super::drawn::is_placeholder;
use super::{Offer, Pass, WINDOW_BYTES};
use crate::bytes::{at, before, border, part, run, run_back};
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// RFC 5321: the local part of an address.
const LOCAL_BYTES_MAX: usize = 64;
/// RFC 1035: a name.
const DOMAIN_BYTES_MAX: usize = 253;
/// A scheme's letters.
const SCHEME_BYTES_MAX: usize = 16;
/// More than this of a web address is not looked at.
const URL_BYTES_MAX: usize = 4096;

const SHAPED: Why = Why::of(Reason::Pattern);
const KNOWN: Why = SHAPED.and(Reason::Range);

const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'!' | b'#' | b'$' | b'*' | b'~')
        || byte >= 0x80
}

const fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
}

const fn is_url(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'\\' | b'^' | b'{' | b'}' | b'|' | 0x7F)
}

impl Pass<'_> {
    /// An `@`. Gives the place from which to go on.
    pub(super) fn email(&mut self, sign: usize) -> usize {
        let mut start = run_back(self.text, sign, sign.saturating_sub(LOCAL_BYTES_MAX), is_local);
        while start < sign
            && (!at(self.text, start).is_ascii_alphanumeric() && at(self.text, start) < 0xC0 && at(self.text, start) != b'_')
        {
            start += 1;
        }
        let mut end = run(self.text, sign + 1, DOMAIN_BYTES_MAX, is_domain);
        self.steps += (end - start) as u64;
        while end > sign + 1 && matches!(before(self.text, end), b'.' | b'-') {
            end -= 1;
        }
        end = border(self.text, end);
        let domain = part(self.text, sign + 1, end);
        let Some(dot) = domain.iter().rposition(|byte| *byte == b'.') else { return sign + 1 };
        let last = part(domain, dot + 1, domain.len());
        if start == sign || dot == 0 || !is_mail_domain(last) || domain.starts_with(b"-") || part_has(domain, b"..") {
            return sign + 1;
        }
        let labels = domain.split(|byte| *byte == b'.').count();
        let known = domain_score(last, labels) > 0.0;
        let (base, why) = if known { (0.95, KNOWN) } else { (0.6, SHAPED) };
        self.offer(Offer { kind: Kind::Email, start, end, base, topic: None, why });
        self.domains_until = end;
        end
    }

    /// A `:`, of a scheme, a network card's or an IPv6 address, or of neither.
    pub(super) fn colon(&mut self, sign: usize) -> usize {
        if part(self.text, sign, sign + 3) == b"://" {
            // Inside an address that has been read already there is no second one to read.
            return if sign < self.domains_until { sign + 3 } else { self.url(sign) };
        }
        if sign >= 2 && at(self.text, sign + 3) == b':' && self.mac(sign - 2) {
            return sign + 15;
        }
        self.ipv6(sign)
    }

    fn url(&mut self, sign: usize) -> usize {
        let start = run_back(self.text, sign, sign.saturating_sub(SCHEME_BYTES_MAX), |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
        });
        let all = run(self.text, sign + 3, URL_BYTES_MAX, is_url);
        self.steps += (all - start) as u64;
        self.domains_until = all;
        let mut end = border(self.text, all);
        while end > sign + 3
            && matches!(before(self.text, end), b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'\'' | b'*')
        {
            end -= 1;
        }
        if start == sign || end <= sign + 4 {
            return sign + 3;
        }
        self.password_in_url(sign + 3, end);
        let is_web = part(self.text, start, sign).to_ascii_lowercase();
        let base = if matches!(is_web.as_slice(), b"http" | b"https" | b"ftp" | b"ws" | b"wss") { 0.9 } else { 0.5 };
        self.offer(Offer { kind: Kind::Url, start, end, base, topic: None, why: SHAPED });
        // What is inside is looked at too: an address or a number may stand in the path.
        sign + 3
    }

    /// `scheme://user:password@host`.
    fn password_in_url(&mut self, start: usize, end: usize) {
        let authority = run(self.text, start, (end - start).min(WINDOW_BYTES), |byte| !matches!(byte, b'/' | b'?' | b'#'));
        let authority = part(self.text, start, authority);
        let Some(sign) = authority.iter().rposition(|byte| *byte == b'@') else { return };
        let Some(colon) = authority.iter().position(|byte| *byte == b':') else { return };
        if colon + 1 < sign {
            let (start, end) = (start + colon + 1, start + sign);
            if is_placeholder(part(self.text, start, end)) {
                return;
            }
            self.offer(Offer { kind: Kind::Password, start, end, base: 0.97, topic: None, why: SHAPED });
        }
    }

    /// A `.` that may stand inside a domain's name.
    pub(super) fn dot(&mut self, sign: usize) -> usize {
        let (left, right) = (before(self.text, sign), at(self.text, sign + 1));
        let inside =
            left.is_ascii_alphanumeric() && right.is_ascii_alphanumeric() && !(left.is_ascii_digit() && right.is_ascii_digit());
        if sign < self.domains_until || !inside {
            return sign + 1;
        }
        let floor = sign.saturating_sub(DOMAIN_BYTES_MAX).max(self.domains_until);
        let mut start = run_back(self.text, sign, floor, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let mut end = run(self.text, sign, DOMAIN_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        self.steps += (end - start) as u64;
        self.domains_until = end;
        while start < sign && !at(self.text, start).is_ascii_alphanumeric() {
            start += 1;
        }
        while end > sign && !before(self.text, end).is_ascii_alphanumeric() {
            end -= 1;
        }
        let name = part(self.text, start, end);
        // The local part of an address, a path, or a member in a program is no domain.
        let beside = (before(self.text, start), at(self.text, end));
        if beside.1 == b'@'
            || matches!(beside.0, b'@' | b'/' | b'\\' | b'_')
            || matches!(beside.1, b'_' | b'(' | b'\\')
            || part_has(name, b"..")
        {
            return sign + 1;
        }
        let labels = name.split(|byte| *byte == b'.').count();
        let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        let cased = last.iter().any(u8::is_ascii_uppercase) && name.iter().any(u8::is_ascii_lowercase);
        let www = part(name, 0, 4).eq_ignore_ascii_case(b"www.");
        let base = domain_score(last, labels) + if www { 0.3 } else { 0.0 } - if cased { 0.3 } else { 0.0 };
        if base > 0.3 {
            let path = run(self.text, end, URL_BYTES_MAX.min(WINDOW_BYTES), is_url);
            let mut whole = if at(self.text, end) == b'/' { border(self.text, path) } else { end };
            while whole > end && matches!(before(self.text, whole), b'.' | b',' | b';' | b':' | b'!' | b'?' | b')') {
                whole -= 1;
            }
            self.offer(Offer { kind: Kind::Url, start, end: whole, base, topic: None, why: KNOWN });
        }
        sign + 1
    }

    /// An IPv6 address with a colon at `sign`.
    fn ipv6(&mut self, sign: usize) -> usize {
        let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let start = run_back(self.text, sign, sign.saturating_sub(4), |byte| byte.is_ascii_hexdigit());
        let mut end = run(self.text, sign, 46, is_part);
        self.steps += (end - start) as u64;
        while end > sign && before(self.text, end) == b'.' {
            end -= 1;
        }
        let whole = part(self.text, start, end);
        let free = !super::is_code_byte(before(self.text, start))
            && before(self.text, start) != b':'
            && !super::is_code_byte(at(self.text, end));
        let digits = whole.iter().filter(|byte| byte.is_ascii_digit()).count();
        let groups = whole.split(|byte| *byte == b':').filter(|group| !group.is_empty()).count();
        let text = std::str::from_utf8(whole).unwrap_or_default();
        if free && groups >= 3 && digits > 0 && text.parse::<std::net::Ipv6Addr>().is_ok() {
            let kind = Kind::IpAddress;
            self.offer(Offer { kind, start, end, base: 0.85, topic: Some(Topic::Network), why: KNOWN });
            return end;
        }
        sign + 1
    }

    /// A network card's address around a pair of digits: `aa-bb-cc-dd-ee-ff`.
    pub(super) fn mac_around(&mut self, start: usize, end: usize) {
        if end - start != 2 || (at(self.text, end) != b'-' && before(self.text, start) != b'-') {
            return;
        }
        let mut first = start;
        for _ in 0..5 {
            let pair = part(self.text, first.wrapping_sub(3), first);
            if matches!(pair, [a, b, b'-'] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
                first -= 3;
            }
        }
        self.mac(first);
    }

    fn mac(&mut self, start: usize) -> bool {
        let whole = part(self.text, start, start + 17);
        let separator = at(whole, 2);
        let holds = whole.len() == 17
            && matches!(separator, b':' | b'-')
            && whole
                .iter()
                .enumerate()
                .all(|(place, byte)| if place % 3 == 2 { *byte == separator } else { byte.is_ascii_hexdigit() });
        let next = at(self.text, start + 17);
        let free = !super::is_code_byte(before(self.text, start))
            && !super::is_code_byte(next)
            && next != separator
            && before(self.text, start) != separator;
        let same = whole.iter().all(|byte| *byte == separator || *byte == at(whole, 0));
        if holds && free && !same {
            self.offer(Offer { kind: Kind::MacAddress, start, end: start + 17, base: 0.85, topic: None, why: SHAPED });
        }
        holds && free
    }
}

fn part_has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
