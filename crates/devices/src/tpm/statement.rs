//! What an attestation key signed: how the machine started (`TPM2_Quote`), and that a key is in its TPM (`TPM2_Certify`). TPM 2.0 part 2, section
//! 10.12.

use aws_lc_rs::constant_time;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use kernel::sha256;

use super::TpmError;
use super::reader::Reader;

/// A statement of ours has less than 200 bytes, a signature less than 80.
pub const STATEMENT_BYTES_MAX: usize = 1_024;
/// The registers that are quoted: what the firmware and the boot loader measured.
pub const REGISTER_COUNT: usize = 8;
/// All of them, one after the other.
pub const REGISTERS_BYTES: usize = REGISTER_COUNT * 32;

/// `TPM_GENERATED_VALUE`: nobody makes a restricted key sign a text of their own that begins like this.
const GENERATED: u32 = 0xff54_4347;
const QUOTE: u16 = 0x8018;
const CERTIFY: u16 = 0x8017;
const SHA256: u16 = 0x000b;
const ECDSA: u16 = 0x0018;

/// Checks a quote over the registers 0 to 7, made for this nonce. Gives the digest over the registers.
///
/// # Errors
/// If it is not what the key signed, answers another nonce, or does not fit the registers.
pub fn quoted(
    attestation_key: &[u8],
    (statement, signature): (&[u8], &[u8]),
    nonce: &[u8],
    registers: &[u8],
) -> Result<[u8; 32], TpmError> {
    signed(attestation_key, statement, signature)?;
    let (mut reader, extra) = opened(statement, QUOTE)?;
    constant_time::verify_slices_are_equal(extra, nonce).map_err(|_| TpmError("the quote answers another challenge"))?;
    let (banks, bank) = (reader.u32()?, reader.u16()?);
    let selected = usize::from(reader.byte()?);
    let selected = reader.take(selected)?;
    let first_eight = selected.first() == Some(&0xff) && selected.iter().skip(1).all(|byte| *byte == 0);
    if banks != 1 || bank != SHA256 || !first_eight {
        return Err(TpmError("the quote is not over the registers 0 to 7 of SHA-256"));
    }
    let digest = reader.sized()?;
    reader.end()?;
    if registers.len() != REGISTERS_BYTES || digest != sha256(registers) {
        return Err(TpmError("the registers are not those that were quoted"));
    }
    Ok(sha256(registers))
}

/// Checks that the attestation key certified an object of this name.
///
/// # Errors
/// If it did not.
pub fn certified(attestation_key: &[u8], (statement, signature): (&[u8], &[u8]), name: &[u8]) -> Result<(), TpmError> {
    signed(attestation_key, statement, signature)?;
    let (mut reader, _) = opened(statement, CERTIFY)?;
    let certified = reader.sized()?;
    reader.sized()?;
    reader.end()?;
    if certified == name { Ok(()) } else { Err(TpmError("the attestation key certified another key")) }
}

/// The head of a `TPMS_ATTEST` of this kind: what its kind adds, and what the asker gave.
fn opened(statement: &[u8], kind: u16) -> Result<(Reader<'_>, &[u8]), TpmError> {
    let mut reader = Reader(statement);
    if reader.u32()? != GENERATED {
        return Err(TpmError("a statement was not made by a TPM"));
    }
    if reader.u16()? != kind {
        return Err(TpmError("a statement is of another kind"));
    }
    reader.sized()?;
    let extra = reader.sized()?;
    // Clock, resets, restarts, whether the clock is safe, and the firmware's version.
    reader.take(8 + 4 + 4 + 1 + 8)?;
    Ok((reader, extra))
}

/// Whether the key signed it: a `TPMT_SIGNATURE` by ECDSA with SHA-256.
fn signed(attestation_key: &[u8], statement: &[u8], signature: &[u8]) -> Result<(), TpmError> {
    if statement.len() > STATEMENT_BYTES_MAX || signature.len() > STATEMENT_BYTES_MAX {
        return Err(TpmError("a statement is too long"));
    }
    let mut reader = Reader(signature);
    if reader.u16()? != ECDSA || reader.u16()? != SHA256 {
        return Err(TpmError("a statement is not signed by ECDSA with SHA-256"));
    }
    let mut fixed = Vec::with_capacity(64);
    for _ in 0..2 {
        let number = reader.sized()?;
        let missing = 32_usize.checked_sub(number.len()).ok_or(TpmError("a signature is too long"))?;
        fixed.extend(std::iter::repeat_n(0, missing));
        fixed.extend_from_slice(number);
    }
    reader.end()?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, attestation_key);
    key.verify(statement, &fixed).map_err(|_| TpmError("a statement is not signed by the attestation key"))
}
