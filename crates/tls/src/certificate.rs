//! What is in a certificate.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::{Broken, NameIn, TlsError};

/// The certificates in a file.
pub(crate) fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |fault: pem::Error| TlsError::Unreadable { path: path.to_owned(), fault: said(fault) };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if chain.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

fn said(fault: pem::Error) -> String {
    match fault {
        pem::Error::Io(fault) => fault.to_string(),
        other => format!("it is not PEM: {other}"),
    }
}

/// A certificate with its key, valid now.
pub(crate) fn certified(
    path: &Path,
    key_path: &Path,
    provider: &CryptoProvider,
    now: SystemTime,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = read(path)?;
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(|fault| match fault {
        pem::Error::NoItemsFound => TlsError::NoKey(key_path.to_owned()),
        fault => TlsError::Unreadable { path: key_path.to_owned(), fault: said(fault) },
    })?;
    let signing = provider
        .key_provider
        .load_private_key(key)
        .map_err(|fault| TlsError::Key { path: key_path.to_owned(), fault: fault.to_string() })?;
    check_time(path, &chain[0], now)?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(TlsError::Mismatch { certificate: path.to_owned(), key: key_path.to_owned() })
        }
        Err(fault) => Err(TlsError::Malformed { path: path.to_owned(), fault: fault.to_string() }),
    }
}

fn check_time(path: &Path, der: &CertificateDer<'_>, now: SystemTime) -> Result<(), TlsError> {
    let path = path.to_owned();
    let certificate = match Certificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(fault) => return Err(TlsError::Malformed { path, fault: fault.to_string() }),
    };
    let validity = certificate.tbs_certificate().validity();
    if now > validity.not_after.to_system_time() {
        return Err(TlsError::Expired { path, at: validity.not_after.to_string() });
    }
    if now < validity.not_before.to_system_time() {
        return Err(TlsError::NotYet { path, at: validity.not_before.to_string() });
    }
    Ok(())
}

/// The name of the user in a client's certificate.
pub(crate) fn user(der: &[u8], place: NameIn) -> Result<String, Broken> {
    let certificate = Certificate::from_der(der)
        .map_err(|fault| Broken::new(format!("the client's certificate cannot be read: {fault}")))?;
    let certificate = certificate.tbs_certificate();
    let (name, what) = match place {
        NameIn::CommonName => {
            let name = certificate.subject().common_name().ok().flatten();
            (name.map(|name| name.value().into_owned()), "common name")
        }
        NameIn::AlternativeName => {
            let names = certificate.get_extension::<SubjectAltName>().ok().flatten();
            let name = names.and_then(|(_, names)| {
                names.0.into_iter().find_map(|name| match name {
                    GeneralName::Rfc822Name(name)
                    | GeneralName::DnsName(name)
                    | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
                    _ => None,
                })
            });
            (name, "alternative name that is a mail address, a host or a URI")
        }
    };
    name.filter(|name| !name.is_empty())
        .ok_or_else(|| Broken::new(format!("the client's certificate has no {what}")))
}
