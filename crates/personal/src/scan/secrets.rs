//! Keys, tokens and passwords: what begins with a well-known prefix, or stands behind a word that asks for secrecy.

use aho_corasick::{AhoCorasick, MatchKind};

use super::drawn::{is_drawn, is_placeholder, is_random};
use super::{DRAWN_BASE, Offer, Pass, WINDOW_BYTES, WORDED_BASE, is_code_byte};
use crate::PersonalError;
use crate::bytes::{at, before, border, part, run};
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// How far the end of a key in PEM is looked for.
const PEM_BYTES_MAX: usize = 16 * 1024;

/// What follows a prefix.
#[derive(Clone, Copy, Debug)]
enum Tail {
    /// So many letters, digits, `_` and `-`, from and to.
    Key(usize, usize),
    /// A JSON web token: three parts of Base64.
    Jwt,
    /// `-----BEGIN … PRIVATE KEY-----`
    Pem,
    /// `: value`, `=value`, ` is value`
    Value,
}

/// Prefixes as their issuers document them.
const PREFIXES: &[(&str, Tail)] = &[
    ("AKIA", Tail::Key(16, 16)),
    ("ASIA", Tail::Key(16, 16)),
    ("ghp_", Tail::Key(36, 255)),
    ("gho_", Tail::Key(36, 255)),
    ("ghu_", Tail::Key(36, 255)),
    ("ghs_", Tail::Key(36, 255)),
    ("ghr_", Tail::Key(36, 255)),
    ("github_pat_", Tail::Key(40, 255)),
    ("glpat-", Tail::Key(20, 64)),
    ("xoxb-", Tail::Key(20, 200)),
    ("xoxp-", Tail::Key(20, 200)),
    ("xoxa-", Tail::Key(20, 200)),
    ("xoxs-", Tail::Key(20, 200)),
    ("xapp-", Tail::Key(20, 200)),
    ("sk_live_", Tail::Key(16, 255)),
    ("sk_test_", Tail::Key(16, 255)),
    ("rk_live_", Tail::Key(16, 255)),
    ("rk_test_", Tail::Key(16, 255)),
    ("AIza", Tail::Key(35, 35)),
    ("ya29.", Tail::Key(20, 255)),
    ("sk-ant-", Tail::Key(20, 255)),
    ("sk-proj-", Tail::Key(20, 255)),
    ("sk-", Tail::Key(40, 64)),
    ("hf_", Tail::Key(30, 64)),
    ("npm_", Tail::Key(36, 64)),
    ("pypi-AgEI", Tail::Key(40, 255)),
    ("dop_v1_", Tail::Key(64, 64)),
    ("SG.", Tail::Key(20, 255)),
    ("shpat_", Tail::Key(32, 64)),
    ("sq0csp-", Tail::Key(40, 64)),
    ("AGE-SECRET-KEY-1", Tail::Key(58, 58)),
    ("lin_api_", Tail::Key(32, 64)),
    ("dckr_pat_", Tail::Key(20, 64)),
    ("glsa_", Tail::Key(32, 64)),
    ("hvs.", Tail::Key(24, 255)),
    ("eyJ", Tail::Jwt),
    ("-----BEGIN ", Tail::Pem),
    ("password", Tail::Value),
    ("Password", Tail::Value),
    ("PASSWORD", Tail::Value),
    ("passwd", Tail::Value),
    ("pwd", Tail::Value),
    ("api_key", Tail::Value),
    ("apikey", Tail::Value),
    ("API_KEY", Tail::Value),
    ("api-key", Tail::Value),
    ("secret_key", Tail::Value),
    ("SECRET_KEY", Tail::Value),
    ("access_token", Tail::Value),
    ("client_secret", Tail::Value),
    ("Bearer ", Tail::Key(20, 255)),
];

/// The automaton over all prefixes.
#[derive(Debug)]
pub struct Secrets {
    automaton: AhoCorasick,
}

impl Secrets {
    pub fn new() -> Result<Self, PersonalError> {
        let words = PREFIXES.iter().map(|(prefix, _)| prefix);
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(words).map_err(PersonalError::automaton)?;
        Ok(Self { automaton })
    }

    pub fn scan(&self, pass: &mut Pass) {
        let mut until = 0;
        for found in self.automaton.find_iter(pass.text) {
            let Some((prefix, tail)) = PREFIXES.get(found.pattern().as_usize()) else { continue };
            if found.start() < until || is_code_byte(before(pass.text, found.start())) && !matches!(tail, Tail::Value) {
                continue;
            }
            pass.steps += WINDOW_BYTES as u64;
            until = match tail {
                Tail::Key(least, most) => pass.key(found.start(), found.end(), *least, *most, prefix.ends_with(' ')),
                Tail::Jwt => pass.jwt(found.start()),
                Tail::Pem => pass.pem(found.start()),
                Tail::Value => pass.value(found.end(), prefix.to_ascii_lowercase().starts_with('p')),
            }
            .unwrap_or(until);
        }
    }
}

const WHY: Why = Why::of(Reason::Pattern);

/// Whether it is the place of a value in a program, as in `settings.DB_PASSWORD`.
fn is_member(token: &[u8]) -> bool {
    let token = token.strip_suffix(b")").unwrap_or(token);
    let is_name = |part: &[u8]| !part.is_empty() && part.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    token.contains(&b'.') && token.split(|byte| *byte == b'.').all(is_name)
}

fn is_token(byte: u8) -> bool {
    is_code_byte(byte) || byte == b'-'
}

impl Pass<'_> {
    fn key(&mut self, start: usize, from: usize, least: usize, most: usize, bare: bool) -> Option<usize> {
        let end = run(self.text, from, most + 1, |byte| is_token(byte) || byte == b'.');
        let length = end - from;
        let fits = (least..=most).contains(&length) && is_random(part(self.text, from, end));
        let start = if bare { from } else { start };
        fits.then(|| {
            self.offer(Offer { kind: Kind::ApiKey, start, end, base: 0.95, topic: None, why: WHY });
            end
        })
    }

    fn jwt(&mut self, start: usize) -> Option<usize> {
        let mut place = start;
        for part_index in 0..3 {
            let end = run(self.text, place, URL_SAFE_BYTES_MAX, is_token);
            self.steps += (end - place) as u64;
            if end - place < 8 || (part_index < 2 && at(self.text, end) != b'.') {
                // What has been read is not read again.
                return Some(end);
            }
            place = if part_index < 2 { end + 1 } else { end };
        }
        self.offer(Offer { kind: Kind::ApiKey, start, end: place, base: 0.95, topic: None, why: WHY });
        Some(place)
    }

    fn pem(&mut self, start: usize) -> Option<usize> {
        let head = part(self.text, start, start + 64);
        let label = head.windows(16).position(|window| window == b"PRIVATE KEY-----")?;
        let body = part(self.text, start + label + 16, start + label + 16 + PEM_BYTES_MAX);
        // A pathological text of nothing but heads pays for each body only up to the next head.
        let stop = body.windows(5).position(|window| window == b"-----").unwrap_or(body.len());
        self.steps += stop as u64;
        let tail = start + label + 16 + stop;
        let line = run(self.text, tail, 64, |byte| byte != b'\n');
        let end = if part(self.text, tail, tail + 9) == b"-----END " { line } else { tail };
        let end = border(self.text, end);
        self.offer(Offer { kind: Kind::PrivateKey, start, end, base: 0.95, topic: None, why: WHY });
        Some(end)
    }

    /// What stands behind `password: ` or `api_key=`.
    fn value(&mut self, from: usize, is_password: bool) -> Option<usize> {
        let quote = usize::from(matches!(at(self.text, from), b'"' | b'\''));
        let sign = run(self.text, from + quote, 4, |byte| byte == b' ');
        let mut place = match at(self.text, sign) {
            b':' | b'=' => sign + 1,
            _ if part(self.text, sign, sign + 3) == b"is " => sign + 2,
            _ => return None,
        };
        let worded = at(self.text, sign) == b'i';
        place = run(self.text, place, 4, |byte| matches!(byte, b' ' | b'"' | b'\'' | b'='));
        let end =
            run(self.text, place, WINDOW_BYTES, |byte| byte > b' ' && !matches!(byte, b'"' | b'\'' | b',' | b';' | b'<' | b'&'));
        let end = border(self.text, end);
        let token = part(self.text, place, end);
        let mixed = token.iter().any(|byte| !byte.is_ascii_alphabetic());
        let quoted = matches!(before(self.text, place), b'"' | b'\'');
        let code = matches!(at(token, 0), b'$' | b'{' | b'*' | b'%' | b'(' | b'[')
            || token.contains(&b'(')
            || token.ends_with(b"[")
            || !quoted && is_member(token);
        let fits = if is_password { token.len() >= 5 && (mixed || !worded) } else { token.len() >= 16 && is_random(token) };
        if !fits || code || is_placeholder(token) {
            return None;
        }
        let kind = if is_password { Kind::Password } else { Kind::ApiKey };
        let base = if !is_password || is_drawn(token) { DRAWN_BASE } else { WORDED_BASE };
        self.offer(Offer { kind, start: place, end, base, topic: None, why: WHY.and(Reason::Context) });
        Some(end)
    }
}

/// A token longer than this is not read to its end.
const URL_SAFE_BYTES_MAX: usize = 8 * 1024;
