//! Which certificate a client is shown.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificates of a server; the first one is for who asks for none of the others.
#[derive(Debug)]
pub(crate) struct Shown(pub(crate) Vec<Arc<CertifiedKey>>);

/// Whether a certificate is that of a server of this name.
fn is_of(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let can_check =
            |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = name.and_then(|name| self.0.iter().filter(can_check).find(|one| is_of(one, &name)));
        named.or_else(|| self.0.iter().find(can_check)).or(self.0.first()).cloned()
    }
}
