//! Whom a client takes for the server within TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// Whom a client takes for the server within TLS.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Who the system's authorities vouch for.
    #[default]
    System,
    /// What an application has set up itself, such as a certificate of the client's own.
    Config(Arc<ClientConfig>),
}

impl Trust {
    /// Who the authorities in a file of PEM certificates vouch for, and nobody else.
    ///
    /// # Errors
    /// [`Error::Trust`] if the file cannot be read or holds no certificate.
    pub fn authorities(file: impl AsRef<Path>) -> Result<Self, Error> {
        let file = file.as_ref();
        let fault = |detail: String| Error::Trust { what: file.display().to_string(), detail };
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|pem| fault(pem.to_string()))?;
        if certificates.is_empty() {
            return Err(fault("there is no certificate in it; PEM is expected".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|refusal| fault(refusal.to_string()))?;
        }
        Ok(Self::Config(Arc::new(trusting(roots))))
    }

    /// Takes nobody for the server.
    pub(crate) fn nobody() -> Arc<ClientConfig> {
        Arc::new(trusting(RootCertStore::empty()))
    }

    /// What TLS is spoken with, by clients of any protocol. Reads the system's authorities, if they are asked for.
    ///
    /// # Errors
    /// [`Error::Trust`] if the system has none.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        match self {
            Self::Config(config) => Ok(Arc::clone(config)),
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let faults: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
                    let detail = format!("there are none {}; give a file of your own", faults.join(", "));
                    return Err(Error::Trust { what: "the system's authorities".to_owned(), detail });
                }
                Ok(Arc::new(trusting(roots)))
            }
        }
    }
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions of TLS that rustls does")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
