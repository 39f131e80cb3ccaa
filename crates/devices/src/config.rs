//! `[devices]`

use std::net::IpAddr;
use std::path::PathBuf;

use kernel::Problem;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use crate::posture::Check;

/// Older than this is out of date by anybody's measure.
const UPDATED_DAYS_MAX: u32 = 365;
/// Proxies in front of one server.
const PROXY_COUNT_MAX: usize = 64;

/// `[devices]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevicesConfig {
    /// Addresses of proxies that end TLS and say in `Client-Cert` (RFC 9440) which certificate their client showed. That header from anybody else
    /// is refused.
    pub trusted_proxies: Vec<IpAddr>,
    /// What a report must show for a device to count as in order.
    pub required: Vec<Check>,
    /// How many days ago a device's lists of updates may have been read.
    pub updated_days_max: u32,
    /// How many security updates may wait.
    pub security_updates_max: u32,
    /// The authorities (PEM) that TPM makers sign endorsement keys with, intermediate ones included. Without it each key is pinned by hand.
    pub endorsement_roots: Option<PathBuf>,
}

impl Default for DevicesConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            required: Check::ALL.to_vec(),
            updated_days_max: 7,
            security_updates_max: 0,
            endorsement_roots: None,
        }
    }
}

impl DevicesConfig {
    /// Refuses values under which tiers would mean nothing.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        if self.required.is_empty() {
            return Err(Problem::invalid("`devices.required` is empty; then every device that reports would count as in order"));
        }
        if !(1..=UPDATED_DAYS_MAX).contains(&self.updated_days_max) {
            return Err(Problem::invalid(format!("`devices.updated_days_max` is from 1 to {UPDATED_DAYS_MAX}")));
        }
        if self.trusted_proxies.len() > PROXY_COUNT_MAX {
            return Err(Problem::invalid(format!("`devices.trusted_proxies` names at most {PROXY_COUNT_MAX}")));
        }
        if self.trusted_proxies.iter().any(IpAddr::is_unspecified) {
            return Err(Problem::invalid("`devices.trusted_proxies` names single addresses; no proxy has the unspecified one"));
        }
        Ok(())
    }

    pub(crate) fn roots(&self) -> Result<Vec<CertificateDer<'static>>, Problem> {
        let Some(path) = &self.endorsement_roots else { return Ok(Vec::new()) };
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let roots = read.map_err(|error| {
            Problem::invalid(format!("`devices.endorsement_roots`: `{}` holds no PEM certificates", path.display()))
                .because(error)
        })?;
        for root in &roots {
            webpki::anchor_from_trusted_cert(root).map_err(|error| {
                Problem::invalid(format!("`devices.endorsement_roots`: a certificate cannot be used: {error}")).because(error)
            })?;
        }
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_trust_everything_is_refused() {
        DevicesConfig::default().check().unwrap();
        let faulty = [
            DevicesConfig { required: Vec::new(), ..DevicesConfig::default() },
            DevicesConfig { updated_days_max: 0, ..DevicesConfig::default() },
            DevicesConfig { trusted_proxies: vec![[0, 0, 0, 0].into()], ..DevicesConfig::default() },
        ];
        for config in faulty {
            config.check().unwrap_err();
        }
        let config = DevicesConfig { endorsement_roots: Some(PathBuf::from("/nowhere.pem")), ..DevicesConfig::default() };
        assert!(config.roots().is_err());
    }
}
