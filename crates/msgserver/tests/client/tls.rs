//! Within TLS.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use msgserver_client::{Publisher, Trust};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate for this host that vouches for itself, and its key, by OpenSSL.
struct Certificate {
    file: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn make(directory: &Path, name: &str) -> Self {
        let [file, key] = ["crt", "key"].map(|kind| directory.join(format!("{name}.{kind}")));
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-subj", "/CN=test", "-days", "30", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { file, key }
    }

    /// Puts TLS before a door; gives the port.
    async fn before(&self, door: &str) -> u16 {
        let chain = CertificateDer::pem_file_iter(&self.file).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, door) = (listener.local_addr().unwrap().port(), door.to_owned());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, door) = (acceptor.clone(), door.clone());
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(socket).await else { return };
                    let mut server = TcpStream::connect(door).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        port
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_speaks_within_tls_to_whom_it_trusts_and_to_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let [certificate, other] = ["server", "other"].map(|name| Certificate::make(directory.path(), name));
    let (frame, http) =
        (certificate.before(server.address("frame")).await, certificate.before(server.address("http")).await);
    let trust = Trust::authorities(&certificate.file).unwrap();
    let publisher = Publisher::trusting(&format!("https://localhost:{http}"), &trust).unwrap();
    for (n, url) in (0..).zip([
        format!("tls://127.0.0.1:{frame}"),
        format!("wss://127.0.0.1:{http}"),
        format!("tls://localhost:{frame}"),
        format!("wss://localhost:{http}"),
    ]) {
        let (client, mut messages) = phone_at(&url).trust(trust.clone()).connect().await.unwrap();
        publisher.publish(&to_ada(2 * n)).await.unwrap();
        client.publish(&to_ada(2 * n + 1)).await.unwrap();
        for which in 0..2 {
            let message = next(&mut messages).await;
            assert_eq!(number(&message), 2 * n + which, "{url}");
            message.ack().await.unwrap();
        }
        client.close().await;
    }

    let strange = Trust::authorities(&other.file).unwrap();
    let (builder, states) = States::of(phone_at(&format!("tls://localhost:{frame}")).trust(strange));
    let _client = builder.connect().await.unwrap();
    let distrusts = |state: &State| matches!(state, State::Waiting { detail, .. } if detail.starts_with("TLS: invalid peer certificate"));
    states.wait_for(1, distrusts).await;
    assert!(Trust::authorities(directory.path().join("none")).is_err());
    assert!(Trust::authorities(&certificate.key).unwrap_err().to_string().contains("no certificate"));
}
