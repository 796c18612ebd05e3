//! Certificates of a test's own, made by OpenSSL, and clients that check them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::stream::{Tls, within_tls};
use super::{PATIENCE, Server};

/// An authority, and the files of those whom it knows.
pub struct Authority {
    directory: PathBuf,
}

pub fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = output.expect("openssl is needed; scripts/test installs it");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Authority {
    pub fn new(directory: &Path) -> Self {
        Self::named(directory, "ca")
    }

    pub fn named(directory: &Path, name: &str) -> Self {
        let directory = directory.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        openssl(
            &directory,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 \
                 -subj /CN={name}"
            ),
        );
        Self { directory }
    }

    /// A path as an argument.
    pub fn file(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    pub fn ca(&self) -> String {
        self.file("ca.pem")
    }

    /// Certifies somebody under a common name and alternative names, for so many days; gives the certificate and the
    /// key.
    pub fn certify_for(&self, file: &str, name: &str, names: &str, days: i32) -> [String; 2] {
        openssl(
            &self.directory,
            &format!(
                "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {file}.key -out {file}.csr \
                 -subj /CN={name} -addext subjectAltName={names}"
            ),
        );
        openssl(
            &self.directory,
            &format!(
                "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -copy_extensions copy \
                 -out {file}.pem"
            ),
        );
        [self.file(&format!("{file}.pem")), self.file(&format!("{file}.key"))]
    }

    /// A server's certificate and key.
    pub fn server(&self) -> [String; 2] {
        self.certify_for("server", "server", "DNS:localhost,IP:127.0.0.1", 2)
    }

    /// A user's certificate and key.
    pub fn user(&self, name: &str) -> [String; 2] {
        self.certify_for(name, name, &format!("email:{name}@example.org"), 2)
    }

    /// A client that trusts this authority and no other, perhaps with a certificate of its own.
    pub fn config(&self, own: Option<&[String; 2]>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some([certificate, key]) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        Arc::new(config)
    }

    /// A connection to a door whose certificate this authority has signed for `localhost`.
    pub fn connect(&self, server: &Server, door: &str) -> Tls {
        self.connect_as(server, door, None)
    }

    /// As [`Authority::connect`], with a certificate of the client's own.
    pub fn connect_as(&self, server: &Server, door: &str, own: Option<&[String; 2]>) -> Tls {
        let socket = server.connect(door);
        self.over(socket, own)
    }

    /// TLS over a connection that is there.
    pub fn over(&self, socket: TcpStream, own: Option<&[String; 2]>) -> Tls {
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        within_tls(self.config(own), socket)
    }
}

/// An HTTP request over a connection that ends with its answer.
pub fn ask(connection: &mut (impl Read + Write), request: &str) -> String {
    let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
