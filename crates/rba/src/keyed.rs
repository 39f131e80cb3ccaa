//! What a log-in is remembered by: seven keyed hashes.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use kernel::Micros;

use crate::agent::Agent;
use crate::geo::Whence;

/// 128 bits of an HMAC-SHA256 of a level's name and a value.
pub type Value = [u8; 16];

/// Levels of the address: itself, its network (autonomous system), its country.
pub const ADDRESS_LEVEL_COUNT: usize = 3;
/// Levels of the client: what it calls itself, browser and version, system and version, kind of device.
pub const AGENT_LEVEL_COUNT: usize = 4;
/// All of them, the address's first.
pub const LEVEL_COUNT: usize = ADDRESS_LEVEL_COUNT + AGENT_LEVEL_COUNT;

/// What was seen at a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Address, network, country; whole client, browser, system, device.
    pub values: [Value; LEVEL_COUNT],
    /// Whether it came with a key that this person's device holds.
    pub known_device: bool,
    /// When.
    pub at: Micros,
}

/// Makes [`Value`]s under one key.
pub struct Keyed(hmac::Key);

impl Keyed {
    /// Under the secret of the installation.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The value of `parts` on `level`.
    #[must_use]
    pub fn value(&self, level: &'static str, parts: &[&[u8]]) -> Value {
        let mut context = hmac::Context::with_key(&self.0);
        for part in std::iter::once(level.as_bytes()).chain(parts.iter().copied()) {
            context.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            context.update(part);
        }
        let mut value = [0; 16];
        for (to, from) in value.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        value
    }

    /// What was seen at a log-in from there with that client.
    #[must_use]
    pub fn seen(&self, address: IpAddr, whence: Whence, agent: Option<&str>, known_device: bool, at: Micros) -> Seen {
        let (bytes, length) = prefix(address);
        let address = bytes.get(..length).unwrap_or_default();
        let parsed = Agent::parse(agent.unwrap_or_default());
        // What the tables do not know is as familiar as the address itself, and no more.
        let network = match (whence.network, whence.is_private) {
            (_, true) => self.value("private network", &[address.get(..2).unwrap_or_default()]),
            (Some(network), _) => self.value("network", &[&network.to_be_bytes()]),
            (None, _) => self.value("unknown network", &[address]),
        };
        let country = match (whence.country, whence.is_private) {
            (_, true) => self.value("private country", &[]),
            (Some(country), _) => self.value("country", &[&country.bytes()]),
            (None, _) => self.value("unknown country", &[address]),
        };
        let values = [
            self.value("address", &[address]),
            network,
            country,
            self.value("agent", &[agent.unwrap_or_default().as_bytes()]),
            self.value("browser", &[parsed.browser.as_bytes(), parsed.browser_version.as_bytes()]),
            self.value("system", &[parsed.system.as_bytes(), parsed.system_version.as_bytes()]),
            self.value("device", &[parsed.device.word().as_bytes()]),
        ];
        Seen { values, known_device, at }
    }
}

/// The bytes by which an address is known: all four of IPv4, the first eight of IPv6, which is what one household or machine gets.
fn prefix(address: IpAddr) -> ([u8; 8], usize) {
    let mut bytes = [0; 8];
    let (octets, length): (&[u8], usize) = match address.to_canonical() {
        IpAddr::V4(v4) => (&v4.octets(), 4),
        IpAddr::V6(v6) => (&v6.octets(), 8),
    };
    for (to, from) in bytes.iter_mut().zip(octets.iter().take(length)) {
        *to = *from;
    }
    (bytes, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Country;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

    fn seen(keyed: &Keyed, address: &str, whence: Whence) -> [Value; LEVEL_COUNT] {
        keyed.seen(address.parse().unwrap(), whence, Some(FIREFOX), true, Micros(0)).values
    }

    #[test]
    fn values_tell_nothing_without_the_key_and_differ_by_level() {
        let (one, other) = (Keyed::new(b"one"), Keyed::new(b"other"));
        assert_ne!(one.value("address", &[b"1"]), other.value("address", &[b"1"]));
        assert_ne!(one.value("address", &[b"1"]), one.value("network", &[b"1"]));
        assert_ne!(one.value("a", &[b"12", b"3"]), one.value("a", &[b"1", b"23"]));
        assert_eq!(one.value("a", &[b"12", b"3"]), one.value("a", &[b"12", b"3"]));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let keyed = Keyed::new(b"key");
        let of = |address: &str| seen(&keyed, address, Whence::default())[0];
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn what_the_tables_do_not_know_is_familiar_from_its_own_address_only() {
        let keyed = Keyed::new(b"key");
        let unknown = Whence::default();
        let (here, there) = (seen(&keyed, "192.0.2.1", unknown), seen(&keyed, "192.0.2.2", unknown));
        assert_ne!(here[1], there[1]);
        assert_ne!(here[2], there[2]);
        let whence = Whence { country: Country::parse("NO"), network: Some(64_500), is_private: false };
        let (here, there) = (seen(&keyed, "192.0.2.1", whence), seen(&keyed, "192.0.2.2", whence));
        assert_eq!(here[1..3], there[1..3]);
    }
}
