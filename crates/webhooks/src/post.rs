//! One POST.

use std::error::Error;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use msgserver_message::Timestamp;
use rustls::{ClientConfig, RootCertStore};

use crate::{Endpoint, WebhookError};

/// How much of an answer is read, so that its connection can be used again. Beyond it the connection is closed.
const ANSWER_BYTES: usize = 64 * 1024;

/// How long a connection is kept that nothing is sent over.
const IDLE: Duration = Duration::from_secs(30);

/// What an endpoint has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 2xx: it has what was sent.
    Taken,
    /// 410: it does not want to be told any more.
    Gone,
    /// Anything else, a redirect and no answer among it.
    Failed {
        why: String,
        /// For how long it wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
}

/// Sends requests, over connections that are used again.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Post {
    /// The system's certificates are read only if one of the endpoints needs them.
    pub(crate) fn new(endpoints: &[Endpoint]) -> Result<Self, WebhookError> {
        let mut roots = RootCertStore::empty();
        if endpoints.iter().any(Endpoint::is_https) {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let faults: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
                let none = || "there are none".to_owned();
                let said = if faults.is_empty() { none() } else { faults.join("; ") };
                return Err(WebhookError::Certificates(said));
            }
        }
        // Named here, and not left to what other crates may have chosen for the whole process.
        let tls = ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider knows the versions of TLS that rustls does")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a body under an id, signed with each of the endpoint's secrets.
    pub(crate) async fn send(&self, endpoint: &Endpoint, id: &str, body: &Bytes) -> Answer {
        let failed = |why: String| Answer::Failed { why, retry_after: None };
        let request = match request(endpoint, id, Timestamp::now().as_millis() / 1000, body) {
            Ok(request) => request,
            Err(fault) => return failed(fault.to_string()),
        };
        let answered = async {
            let response = self.client.request(request).await.map_err(|fault| whole(&fault))?;
            let (head, body) = response.into_parts();
            // The status alone counts, whatever becomes of the rest.
            let _ = Limited::new(body, ANSWER_BYTES).collect().await;
            Ok(answer(head.status, &head.headers, SystemTime::now()))
        };
        match tokio::time::timeout(endpoint.timeout, answered).await {
            Ok(answer) => answer.unwrap_or_else(failed),
            Err(_) => failed(format!("it has not answered within {:?}", endpoint.timeout)),
        }
    }
}

fn request(
    endpoint: &Endpoint,
    id: &str,
    timestamp: u64,
    body: &Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let signatures: Vec<_> = endpoint.secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
    Request::post(endpoint.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("msgserver/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signatures.join(" "))
        .body(Full::new(body.clone()))
}

/// What an answer means that came at `now`.
fn answer(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Answer {
    if status.is_success() {
        return Answer::Taken;
    }
    if status == StatusCode::GONE {
        return Answer::Gone;
    }
    let why = match headers.get(hyper::header::LOCATION) {
        Some(_) if status.is_redirection() => format!("it answers {status}, and redirects are not followed"),
        _ => format!("it answers {status}"),
    };
    Answer::Failed { why, retry_after: retry_after(headers, now) }
}

/// Seconds, or a date, as RFC 9110 has it.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// A fault and what it comes from: the client's own text does not say whether nobody listens or a name is unknown.
fn whole(fault: &dyn Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(fault) = cause {
        text = format!("{text}: {fault}");
        cause = fault.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_taken_and_410_is_the_end() {
        let of = |status| answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), SystemTime::now());
        for status in [200, 202, 204, 299] {
            assert_eq!(of(status), Answer::Taken, "{status}");
        }
        assert_eq!(of(410), Answer::Gone);
        for status in [301, 302, 307, 308, 400, 401, 404, 409, 413, 429, 500, 503] {
            assert!(matches!(of(status), Answer::Failed { retry_after: None, .. }), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let date = |after| httpdate::fmt_http_date(now + Duration::from_secs(after));
        for (text, seconds) in [
            ("120".to_owned(), Some(120)),
            (" 0 ".to_owned(), Some(0)),
            (date(90), Some(90)),
            ("Tue, 14 Nov 2000 00:00:00 GMT".to_owned(), Some(0)),
            ("soon".to_owned(), None),
            ("-1".to_owned(), None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
