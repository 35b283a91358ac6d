//! The TLS side of the client, built by hand for two reasons: the crypto provider (ring) is passed along instead
//! of installed for the whole process, which belongs to the application; and a plain `http` client does not load
//! any certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::TransportError;
use crate::config::{Tls, TlsCa};

/// The settings of the TLS client; without `tls` ones that trust nobody, for a client that never uses them.
pub(super) fn client_config(tls: Option<&Tls>) -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup { reason: error.to_string() })?;
    Ok(match tls {
        None => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        Some(Tls { verify: false, .. }) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider))).with_no_client_auth()
        }
        Some(Tls { verify: true, ca }) => builder.with_root_certificates(roots(ca)?).with_no_client_auth(),
    })
}

fn roots(ca: &TlsCa) -> Result<RootCertStore, TransportError> {
    let mut store = RootCertStore::empty();
    if matches!(ca, TlsCa::WebpkiRoots | TlsCa::WebpkiAndOsRoots) {
        store.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    if matches!(ca, TlsCa::OsRoots | TlsCa::WebpkiAndOsRoots) {
        // Stores of real machines hold broken certificates: what can be used is used.
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            let reason = found.errors.first().map_or_else(|| "it is empty".to_owned(), ToString::to_string);
            return Err(TransportError::Certificates { origin: "the operating system's store".into(), reason });
        }
    }
    if let TlsCa::PemFile(path) = ca {
        add_pem_file(&mut store, path)
            .map_err(|reason| TransportError::Certificates { origin: path.display().to_string(), reason })?;
    }
    Ok(store)
}

/// Unlike a system's store this file was named by the caller, who is told of anything wrong in it.
fn add_pem_file(store: &mut RootCertStore, path: &Path) -> Result<(), String> {
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("it holds no PEM certificate".into()) } else { Ok(()) }
}

/// What helps against a failed handshake.
pub(super) fn cure(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "renew the server's certificate, or set the clock of this machine right"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "set the clock of this machine right, or wait until the certificate is valid",
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "name the host in \"addr\" as its certificate does, or get it a certificate for this name",
        rustls::Error::InvalidCertificate(_) => {
            "if the certificate is of a private authority give that authority's in \"tls_roots\""
        }
        rustls::Error::InvalidMessage(_) => "if this port speaks plain HTTP use \"http\"",
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
            "the server has to take TLS 1.2 or 1.3 without a client certificate"
        }
        _ => {
            "if this port speaks plain HTTP use \"http\", and if its certificate is of a private authority give that in \
             \"tls_roots\""
        }
    }
}

/// `tls_verify=unsafe_off`: whoever answers is believed.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for file in [path, "/no/such/file.pem"] {
            let tls = Tls { verify: true, ca: TlsCa::PemFile(file.into()) };
            let error = client_config(Some(&tls)).expect_err("not a PEM file");
            assert_eq!(error.kind(), crate::error::ErrorKind::TlsError);
            assert!(error.to_string().contains(file), "{error}");
        }
    }

    #[test]
    fn compiled_in_roots_are_enough() {
        let tls = Tls { verify: true, ca: TlsCa::WebpkiAndOsRoots };
        assert!(client_config(Some(&tls)).is_ok());
    }
}
