//! Asking another server over HTTP or HTTPS.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;

use crate::KeyError;

/// An address of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(http::Uri);

impl Address {
    pub(crate) fn uri(&self) -> http::Uri {
        self.0.clone()
    }
}

impl std::str::FromStr for Address {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let uri: Option<http::Uri> = text.parse().ok();
        let uri = uri.filter(|uri| {
            let named =
                uri.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'));
            matches!(uri.scheme_str(), Some("http" | "https")) && named
        });
        uri.map(Self).ok_or(KeyError::Address)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long it may be used again.
    pub(crate) max_age: Duration,
    pub(crate) body: Bytes,
}

/// Asks, within a deadline. Redirects are not followed: an answer counts only from where it was asked for.
pub(crate) struct Remote {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    deadline: Duration,
    limit: usize,
}

impl Remote {
    /// Answers may be `limit` bytes long.
    pub(crate) fn new(deadline: Duration, limit: usize) -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            tracing::warn!("the system has no root certificates, so no https address can be trusted");
        }
        let tls = rustls::ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has the ciphers of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Self { client: Client::builder(TokioExecutor::new()).build(https), deadline, limit }
    }

    pub(crate) async fn get(&self, address: &Address) -> Result<Answer, String> {
        let request = http::Request::get(address.uri()).header(http::header::ACCEPT, "application/json");
        self.ask(request, Bytes::new()).await
    }

    pub(crate) async fn post(&self, address: &Address, json: Vec<u8>) -> Result<Answer, String> {
        let request = http::Request::post(address.uri())
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json");
        self.ask(request, json.into()).await
    }

    async fn ask(&self, request: http::request::Builder, body: Bytes) -> Result<Answer, String> {
        let request = request.body(Full::new(body)).map_err(|fault| fault.to_string())?;
        let asked = async {
            let response = self.client.request(request).await.map_err(|fault| whole(&fault))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, self.limit).collect().await.map_err(|fault| whole(&*fault))?;
            Ok(Answer {
                status: head.status.as_u16(),
                max_age: max_age(&head.headers),
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(self.deadline, asked)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} ms", self.deadline.as_millis())))
    }
}

/// An error with what has caused it: by itself it says little.
fn whole(fault: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What `Cache-Control` says.
fn max_age(headers: &http::HeaderMap) -> Duration {
    let said =
        headers.get(http::header::CACHE_CONTROL).and_then(|said| said.to_str().ok()).unwrap_or_default();
    let words = || said.split(',').map(|word| word.trim().to_ascii_lowercase());
    if words().any(|word| word == "no-store" || word == "no-cache") {
        return Duration::ZERO;
    }
    let seconds = words().find_map(|word| word.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_may_be_used() {
        let age = |said: &'static str| {
            let headers = [(http::header::CACHE_CONTROL, said.parse().unwrap())].into_iter().collect();
            max_age(&headers).as_secs()
        };
        assert_eq!(age("max-age=60"), 60);
        assert_eq!(age("private, Max-Age=5"), 5);
        for nothing in ["max-age=60, no-store", "max-age=soon", "public", "max-age=-1"] {
            assert_eq!(age(nothing), 0, "{nothing}");
        }
        assert_eq!(max_age(&http::HeaderMap::new()), Duration::ZERO);
    }

    #[test]
    fn an_address_is_of_http_and_names_a_host() {
        assert!("https://id.example/keys".parse::<Address>().is_ok());
        for bad in [
            "",
            "id.example/keys",
            "ftp://id.example",
            "https://",
            "file:///etc/passwd",
            "https://ada:secret@id.example",
            "http:keys",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
