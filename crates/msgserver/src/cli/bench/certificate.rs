//! The certificate that a server of its own shows.

use std::path::{Path, PathBuf};

use pem::Pem;

use crate::cli::Fault;

/// A certificate for this host that vouches for itself, and its key: files, in PEM.
pub(super) struct Certificate {
    pub(super) file: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificate {
    /// Makes one for a run, in a directory that ends with the run.
    pub(super) fn make(directory: &Path) -> Result<Self, Fault> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(Fault::failed)?;
        let write = |name: &str, tag: &str, der: Vec<u8>| -> Result<PathBuf, Fault> {
            let path = directory.join(name);
            std::fs::write(&path, pem::encode(&Pem::new(tag, der))).map_err(Fault::failed)?;
            Ok(path)
        };
        Ok(Self {
            file: write("cert.pem", "CERTIFICATE", made.cert.der().to_vec())?,
            key: write("key.pem", "PRIVATE KEY", made.signing_key.serialize_der())?,
        })
    }
}

/// Whom it names: where servers of one's own are.
pub(super) const NAME: &str = "127.0.0.1";
