//! Whom a command trusts to be its server: whoever shows a certificate of the folder's authority, or the very certificate
//! that the server on the folder wrote down.

use std::path::Path;
use std::sync::Arc;

use kernel::Problem;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// TLS settings that accept certificates signed by `ca`, and, whatever name it bears, the first one in `shown`. Whoever asks for it is shown the
/// certificate of `device`.
///
/// # Errors
/// `Invalid` for files that hold no certificates.
pub(super) fn client_config(
    ca: &Path,
    shown: Option<&Path>,
    device: Option<Arc<SingleCertAndKey>>,
) -> Result<Arc<ClientConfig>, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|e| Problem::invalid(format!("`{}` cannot be used: {e}", ca.display())))?;
    }
    let broken = |error: Error| Problem::internal("TLS could not be set up", error);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(broken)?;
    let Some(shown) = shown else {
        let builder = builder.with_root_certificates(roots);
        return Ok(Arc::new(match device {
            Some(device) => builder.with_client_cert_resolver(device),
            None => builder.with_no_client_auth(),
        }));
    };
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let usual = usual.map_err(|e| Problem::invalid(format!("`{}` cannot be used: {e}", ca.display())))?;
    let known = certificates(shown)?.into_iter().next();
    let known = known.ok_or_else(|| Problem::invalid(format!("`{}` holds no certificate", shown.display())))?;
    let verifier = Arc::new(KnownOrSigned { known, usual });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Arc::new(match device {
        Some(device) => builder.with_client_cert_resolver(device),
        None => builder.with_no_client_auth(),
    }))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| Problem::invalid(format!("`{}` is not a PEM certificate", path.display())).because(e))
}

/// Accepts one known certificate byte for byte; any other as usual. That the server holds the certificate's key is checked
/// in both cases, by the signatures of the handshake.
#[derive(Debug)]
struct KnownOrSigned {
    known: CertificateDer<'static>,
    usual: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for KnownOrSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.known.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
