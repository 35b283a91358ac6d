//! A certificate for `localhost` and 127.0.0.1, and the authority that signed it; for the fake server only.
//!
//! Made once with OpenSSL, valid from 2020 to 2099. The authority's key was thrown away.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority, for `tls_roots`.
pub(crate) const CA_PEM: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBaTCCAQ+gAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBxdWVzdGZy\n\
YW1lIHRlc3RzMCAXDTIwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMjM1OTU5WjAbMRkw\n\
FwYDVQQDDBBxdWVzdGZyYW1lIHRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\n\
QgAEMqbv90IRkTIQmSjuxikJ7LyfKwb94fJpg8ZwKVlVu4GBwiD0D460XZziTBjp\n\
TrGpeC64rqGvbydZ/fdVvSvYa6NCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B\n\
Af8EBAMCAgQwHQYDVR0OBBYEFJDuWXEyGABWGWkt+wAHIQ2R32ctMAoGCCqGSM49\n\
BAMCA0gAMEUCIBxGjnkzKxHjU4LCRXxznOWqMuYuzHxB+5U0i74NBXhmAiEA+Wqz\n\
YV/VYgksFzrCVlbPef2bHKJ3PWy+fUspbtAmd1c=\n\
-----END CERTIFICATE-----\n\
";

const CERTIFICATE_PEM: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBojCCAUigAwIBAgIBAjAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBxdWVzdGZy\n\
YW1lIHRlc3RzMCAXDTIwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMjM1OTU5WjAUMRIw\n\
EAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARXxDBw\n\
o01n/RPzC+DKhHBAhHw9lkaBOA+UtApp0XBytTk+UNFRN40ZSlZQEW7NX6FWdQO0\n\
V7wBPb97Cn+KdhI/o4GBMH8wDAYDVR0TAQH/BAIwADAaBgNVHREEEzARgglsb2Nh\n\
bGhvc3SHBH8AAAEwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFOwpg43w\n\
lqiNiXpfnfSY+PsvYgkTMB8GA1UdIwQYMBaAFJDuWXEyGABWGWkt+wAHIQ2R32ct\n\
MAoGCCqGSM49BAMCA0gAMEUCIDX8T3J6PWZEZ1DtnNpxNN+xoEMBfrOt9VS5N2UZ\n\
3CTzAiEAsMzhJwICNGc81gflz9agSoadfso5TmLG+gDyCzQZqU0=\n\
-----END CERTIFICATE-----\n\
";

const KEY_PEM: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgk0BQzyzy3tyDpoc0\n\
aKMAHjLGnnbIyHtwouc/K5wR8jShRANCAARXxDBwo01n/RPzC+DKhHBAhHw9lkaB\n\
OA+UtApp0XBytTk+UNFRN40ZSlZQEW7NX6FWdQO0V7wBPb97Cn+KdhI/\n\
-----END PRIVATE KEY-----\n\
";

/// The server's side of TLS.
pub(crate) fn server_config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE_PEM.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY_PEM.as_bytes()).expect("a key");
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key belongs to the certificate")
}
