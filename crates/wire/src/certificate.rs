//! Which certificate the client showed: by TLS to this server, or by TLS to a proxy in front of it that says so (RFC 9440).
//!
//! INVARIANT: the header of RFC 9440 counts from the proxies of the configuration and from nobody else; what a listed proxy shows of its own
//! counts for nobody. Held by `tests`.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use kernel::{Problem, sha256};

/// What a proxy says of its client's certificate (RFC 9440, section 2.2): DER, as a byte sequence of structured fields.
const CLIENT_CERT: &str = "client-cert";
/// The rest of the chain (section 2.3), which nobody here needs.
const CLIENT_CERT_CHAIN: &str = "client-cert-chain";
/// A certificate of ours has less than a thousand bytes.
const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;

/// SHA-256 of the certificate that a client showed; the listener puts it into each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub [u8; 32]);

impl PeerCertificate {
    /// Of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(sha256(certificate))
    }
}

/// Takes the headers of RFC 9440 away. From a listed proxy they say what the client showed; from anybody else they are refused, aloud: it is
/// an attack, or a proxy that somebody forgot to list.
pub(crate) fn take(parts: &mut Parts, trusted_proxies: &[IpAddr]) -> Result<(), Problem> {
    let is_trusted = trusted_proxies.contains(&crate::passage::peer_of(parts));
    let mut said = parts.headers.get_all(CLIENT_CERT).iter().cloned().collect::<Vec<_>>().into_iter();
    let has_chain = parts.headers.contains_key(CLIENT_CERT_CHAIN);
    parts.headers.remove(CLIENT_CERT);
    parts.headers.remove(CLIENT_CERT_CHAIN);
    let first = said.next();
    if !is_trusted {
        if first.is_some() || has_chain {
            return Err(Problem::forbidden(
                "the header `Client-Cert` counts from a proxy that this server trusts only; list its address in `devices.trusted_proxies`",
            ));
        }
        return Ok(());
    }
    parts.extensions.remove::<PeerCertificate>();
    let malformed = || Problem::invalid("the header `Client-Cert` is not one certificate as RFC 9440 writes it");
    let Some(value) = first else { return Ok(()) };
    if said.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?.trim();
    let inner = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(malformed)?;
    if inner.len() > CERTIFICATE_BYTES_MAX {
        return Err(malformed());
    }
    let certificate = STANDARD.decode(inner).map_err(|_| malformed())?;
    parts.extensions.insert(PeerCertificate::of(&certificate));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerAddress;
    use http::Request;

    const PROXY: [u8; 4] = [10, 0, 0, 7];

    fn request(peer: [u8; 4], headers: &[(&str, &str)]) -> Parts {
        let builder = headers.iter().fold(Request::builder(), |builder, (name, value)| builder.header(*name, *value));
        let (mut parts, ()) = builder.body(()).unwrap().into_parts();
        parts.extensions.insert(PeerAddress(peer.into()));
        parts
    }

    fn shown(peer: [u8; 4], headers: &[(&str, &str)]) -> Result<Option<PeerCertificate>, Problem> {
        let mut parts = request(peer, headers);
        take(&mut parts, &[PROXY.into()])?;
        assert!(!parts.headers.contains_key(CLIENT_CERT) && !parts.headers.contains_key(CLIENT_CERT_CHAIN));
        Ok(parts.extensions.get::<PeerCertificate>().copied())
    }

    #[test]
    fn a_listed_proxy_is_believed_and_nobody_else() {
        let header = [("client-cert", ":Y2VydGlmaWNhdGU=:")];
        assert_eq!(shown(PROXY, &header).unwrap(), Some(PeerCertificate::of(b"certificate")));
        assert_eq!(shown(PROXY, &[]).unwrap(), None);
        assert_eq!(shown([10, 0, 0, 8], &[]).unwrap(), None);
        assert!(shown([10, 0, 0, 8], &header).is_err());
        assert!(shown([10, 0, 0, 8], &[("client-cert-chain", ":YQ==:")]).is_err());
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_a_proxys_own_is_nobodys() {
        let long = format!(":{}:", "A".repeat(CERTIFICATE_BYTES_MAX + 4));
        for wrong in ["", "Y2VydA==", ":???:", ":Y2VydA==", long.as_str()] {
            assert!(shown(PROXY, &[("client-cert", wrong)]).is_err(), "{wrong:.20}");
        }
        assert!(shown(PROXY, &[("client-cert", ":YQ==:"), ("client-cert", ":YQ==:")]).is_err());
        let mut parts = request(PROXY, &[]);
        parts.extensions.insert(PeerCertificate::of(b"the proxy's own"));
        take(&mut parts, &[PROXY.into()]).unwrap();
        assert_eq!(parts.extensions.get::<PeerCertificate>(), None);
        let mut parts = request([10, 0, 0, 8], &[]);
        parts.extensions.insert(PeerCertificate::of(b"by TLS"));
        take(&mut parts, &[PROXY.into()]).unwrap();
        assert_eq!(parts.extensions.get::<PeerCertificate>(), Some(&PeerCertificate::of(b"by TLS")));
    }
}
