//! Addresses of wallets: Base58Check and Bech32.

use sha2::{Digest, Sha256};

use crate::bytes::{at, part};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The bytes of a version, a hash of 20 bytes and a checksum of 4.
const PAYLOAD_BYTES: usize = 25;

/// Base58Check with a payload of 21 bytes, as Bitcoin, Litecoin, Dogecoin, Dash and Tron use it.
pub fn base58check(code: &[u8]) -> bool {
    if !(26..=35).contains(&code.len()) {
        return false;
    }
    let mut bytes = [0_u8; PAYLOAD_BYTES];
    for character in code {
        let Some(value) = BASE58.iter().position(|one| one == character) else { return false };
        let mut carry = u32::try_from(value).unwrap_or(0);
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xFF) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let first = Sha256::digest(part(&bytes, 0, 21));
    let second = Sha256::digest(first);
    part(&second, 0, 4) == part(&bytes, 21, 25)
}

/// Bech32 or Bech32m (BIP 173, BIP 350): the checksum over the prefix and the data.
pub fn bech32(code: &[u8]) -> bool {
    let Some(one) = code.iter().rposition(|byte| *byte == b'1') else { return false };
    if one == 0 || code.len() < one + 7 || code.len() > 90 {
        return false;
    }
    let prefix = part(code, 0, one);
    let mut state = 1_u32;
    for byte in prefix {
        state = step(state, byte >> 5);
    }
    state = step(state, 0);
    for byte in prefix {
        state = step(state, byte & 31);
    }
    for byte in part(code, one + 1, code.len()) {
        let Some(value) = BECH32.iter().position(|letter| letter == byte) else { return false };
        state = step(state, u8::try_from(value).unwrap_or(0));
    }
    state == 1 || state == 0x2BC8_30A3
}

fn step(state: u32, value: u8) -> u32 {
    const GENERATORS: [u32; 5] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3];
    let top = state >> 25;
    let mut next = ((state & 0x01FF_FFFF) << 5) ^ u32::from(value);
    for (bit, generator) in GENERATORS.iter().enumerate() {
        if top >> bit & 1 == 1 {
            next ^= generator;
        }
    }
    next
}

/// Whether the code has the shape of an Ethereum address: `0x` and 40 hexadecimal digits, not all equal.
pub fn ethereum(code: &[u8]) -> bool {
    let body = part(code, 2, code.len());
    code.starts_with(b"0x")
        && body.len() == 40
        && body.iter().all(u8::is_ascii_hexdigit)
        && body.iter().any(|b| *b != at(body, 0))
}
