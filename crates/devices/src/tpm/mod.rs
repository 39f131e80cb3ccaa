//! What a TPM says, judged without one: the structures of the TPM 2.0 library (part 2), the credential that only one TPM can open (part 1, section
//! 24), and statements that its attestation key signed. Bytes in, values out; no TPM is spoken to.

pub mod credential;
pub mod public;
mod reader;
pub mod statement;
#[cfg(test)]
mod tests;
pub mod vouch;

/// Why a TPM's word is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmError(pub &'static str);

impl std::fmt::Display for TpmError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TpmError {}

impl From<TpmError> for kernel::Problem {
    fn from(error: TpmError) -> Self {
        Self::invalid(format!("the attestation cannot be used: {error}"))
    }
}
