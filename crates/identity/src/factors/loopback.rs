//! Log-in of a command line by way of a browser on its own machine (RFC 8252, section 7.3, with RFC 7636): it listens on a loopback address,
//! keeps a verifier and tells its challenge; a person agrees in the browser, which brings a code to that address; the code and the verifier
//! are worth a token, once. Nothing is kept here before somebody who is known agrees.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Secret, random_text, sha256};

/// How the command line calls itself: it is everybody's, and no secret of its own makes it known.
pub const COMMAND_LINE_CLIENT: &str = "strongroom-cli";
/// How long a code waits for its command line.
pub const CODE_SECONDS: i64 = 60;
/// The path at which a command line listens.
pub const LOOPBACK_PATH: &str = "/callback";
/// 43 base62 characters hold 256 bits, as RFC 7636 (section 7.1) asks for.
const VERIFIER_LENGTH: usize = 43;
/// RFC 7636, section 4.1.
const VERIFIER_LENGTH_MAX: usize = 128;

/// Where a command line listens: an address that nothing but its own machine reaches. `localhost` is none: whoever answers for names could
/// send the code elsewhere (RFC 8252, section 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loopback(SocketAddr);

impl Loopback {
    /// This address, if it is one of 127.0.0.1 and [::1] with a port.
    #[must_use]
    pub fn at(address: SocketAddr) -> Option<Self> {
        let is_loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].contains(&address.ip());
        (is_loopback && address.port() != 0).then(|| Self(SocketAddr::new(address.ip(), address.port())))
    }

    /// The address behind a redirect URI, which must be written exactly as [`fmt::Display`] writes it.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let address = uri.strip_prefix("http://")?.strip_suffix(LOOPBACK_PATH)?.parse().ok()?;
        Self::at(address).filter(|known| known.to_string() == uri)
    }

    /// Whether a page's policy can name it: content security policies know no address of version 6.
    #[must_use]
    pub const fn has_source_expression(self) -> bool {
        self.0.is_ipv4()
    }
}

/// The redirect URI.
impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{LOOPBACK_PATH}", self.0)
    }
}

/// What is told of a verifier before it is shown: its SHA-256 (RFC 7636, section 4.2, method `S256`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge(pub(crate) [u8; 32]);

impl Challenge {
    /// Of a verifier; none for what cannot be one.
    #[must_use]
    pub fn of(verifier: &Secret) -> Option<Self> {
        let text = verifier.expose();
        let is_unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let fits = (VERIFIER_LENGTH..=VERIFIER_LENGTH_MAX).contains(&text.len()) && text.iter().all(is_unreserved);
        fits.then(|| Self(sha256(text)))
    }

    /// As it stands in a request.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }
}

/// As it stands in a request.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A new verifier of a command line.
#[must_use]
pub fn new_verifier() -> Secret {
    Secret::from(random_text(VERIFIER_LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_led_back_to() {
        for good in ["http://127.0.0.1:50123/callback", "http://[::1]:50123/callback", "http://127.0.0.1:80/callback"] {
            assert_eq!(Loopback::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "http://localhost:50123/callback",
            "http://127.0.0.2:50123/callback",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:050123/callback",
            "http://127.0.0.1:50123/",
            "http://127.0.0.1:50123/callback?x=1",
            "http://127.0.0.1:50123@evil.example/callback",
            "http://user@127.0.0.1:50123/callback",
            "https://127.0.0.1:50123/callback",
            "HTTP://127.0.0.1:50123/callback",
            "http://[::1%1]:50123/callback",
            "http://[0:0:0:0:0:0:0:1]:50123/callback",
            "http://[::ffff:127.0.0.1]:50123/callback",
            "http://192.0.2.1:50123/callback",
            "http://evil.example/callback",
            "/callback",
            "",
        ] {
            assert_eq!(Loopback::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_challenge_belongs_to_its_verifier() {
        // RFC 7636, appendix B.
        let verifier = Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert_eq!(Challenge::of(&verifier), Some(challenge));
        let own = new_verifier();
        assert_eq!(Challenge::parse(&Challenge::of(&own).unwrap().to_string()), Challenge::of(&own));
        for bad in ["", "short", &"a".repeat(42), &"a".repeat(129), &format!("{}/", "a".repeat(43))] {
            assert_eq!(Challenge::of(&Secret::from((*bad).to_owned())), None, "{bad}");
        }
        for bad in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c", "dBjftJeZ"]
        {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }
}
