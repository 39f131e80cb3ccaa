//! Challenges of which nothing is kept: a time, and a keyed hash that says which device it was given to and for what. That each is answered once
//! is held by the time of the newest one that was answered, in the device's row.

use aws_lc_rs::{constant_time, hmac};
use kernel::{Micros, Problem, Secret, hex, parse_hex};

/// How long a challenge waits for its answer.
pub(crate) const CHALLENGE_SECONDS: i64 = 300;

/// Makes and reads them.
pub(crate) struct Challenges(hmac::Key);

impl Challenges {
    pub(crate) fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// 32 bytes that nobody else can tell, of a purpose, a device, a time, and what else they hang on.
    pub(crate) fn bytes(&self, purpose: &str, device_id: &str, at: Micros, more: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [purpose.as_bytes(), device_id.as_bytes(), &at.0.to_be_bytes()].iter().chain(more) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0_u8; 32];
        for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        bytes
    }

    /// A challenge as a text.
    pub(crate) fn make(&self, purpose: &str, device_id: &str, at: Micros) -> String {
        format!("{:016x}{}", at.0, hex(&self.bytes(purpose, device_id, at, &[])))
    }

    /// When a challenge was made, if it is this device's, for this, and its time is not over.
    pub(crate) fn read(&self, purpose: &str, device_id: &str, text: &str, now: Micros) -> Result<Micros, Problem> {
        let wrong =
            || Problem::invalid("the challenge is not one that this device was given, or its time is over; ask for another");
        let (time, seal) = text.split_at_checked(16).ok_or_else(wrong)?;
        let at = Micros(i64::from_str_radix(time, 16).map_err(|_| wrong())?);
        let seal = parse_hex(seal).ok_or_else(wrong)?;
        let right = self.bytes(purpose, device_id, at, &[]);
        constant_time::verify_slices_are_equal(&right, &seal).map_err(|_| wrong())?;
        if now < at || now >= at.plus_secs(CHALLENGE_SECONDS) {
            return Err(wrong());
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_for_one_device_one_purpose_and_a_while() {
        let challenges = Challenges::new(&Secret::from("key".to_owned()));
        let at = Micros(1_700_000_000_000_000);
        let text = challenges.make("report", "dev_1", at);
        assert_eq!(challenges.read("report", "dev_1", &text, at.plus_secs(299)).unwrap(), at);
        assert!(challenges.read("report", "dev_1", &text, at.plus_secs(300)).is_err());
        assert!(challenges.read("report", "dev_1", &text, at.plus_secs(-1)).is_err());
        assert!(challenges.read("report", "dev_2", &text, at).is_err());
        assert!(challenges.read("attest", "dev_1", &text, at).is_err());
        assert!(Challenges::new(&Secret::from("other".to_owned())).read("report", "dev_1", &text, at).is_err());
        for wrong in ["", "x", &text[1..], &format!("{text}00"), &text.replace('a', "b").replace('0', "1"), "ä00000000000000000"]
        {
            assert!(challenges.read("report", "dev_1", wrong, at).is_err(), "{wrong}");
        }
    }
}
