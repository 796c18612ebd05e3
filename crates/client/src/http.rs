//! One request to the HTTP API, and what its answer means.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::{Error, Trust};

/// The longest answer: a result for each message of a batch.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Why a request, or a message of a batch, got no answer that counts.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It may be tried again, after the time that the server has named.
    Passing { detail: String, retry_after: Option<Duration> },
    /// It would be refused again.
    Final(Error),
}

/// A connection to the HTTP API, made when it is needed and kept.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    pub(crate) authorization: Option<HeaderValue>,
}

/// A problem of RFC 9457, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    status: u16,
    #[serde(default)]
    detail: Option<String>,
}

impl Http {
    /// Of the API at `url`, such as `http://127.0.0.1:3365`.
    pub(crate) fn new(url: &str, trust: &Trust) -> Result<Self, Error> {
        let is_secret = url.starts_with("https://");
        let parsed = url.parse::<Uri>().ok().filter(|uri| uri.authority().is_some());
        if parsed.is_none() || !(is_secret || url.starts_with("http://")) {
            let right = "it is such as http://127.0.0.1:3365 or https://push.example.org";
            return Err(crate::InvalidAddress::new(url, right).into());
        }
        // Without a secret no authority is asked: a machine may know none.
        let tls = if is_secret { trust.config()? } else { Trust::nobody() };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*tls).clone())
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), authorization: None })
    }

    /// The body of the answer 202.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Bytes, Miss> {
        let address = format!("{}{path}", self.url);
        let mut request = Request::builder().method(Method::POST).uri(&address);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|fault| passing(&fault))?;
        let answer = self.client.request(request).await.map_err(|fault| passing(&fault))?;
        let status = answer.status().as_u16();
        let named = answer.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        let body = body.map_err(|fault| passing(&*fault))?.to_bytes();
        if status == 202 {
            return Ok(body);
        }
        let problem = serde_json::from_slice(&body).unwrap_or(Problem { status, detail: None });
        Err(self.refused(path, Problem { status, ..problem }, named.map(Duration::from_secs)))
    }

    /// What a problem means for who had it.
    pub(crate) fn refused(&self, path: &str, problem: Problem, retry_after: Option<Duration>) -> Miss {
        let Problem { status, detail } = problem;
        let detail = detail.unwrap_or_else(|| "no reason was given".to_owned());
        if matches!(status, 408 | 429 | 500..) {
            return Miss::Passing { detail: format!("refused with {status}: {detail}"), retry_after };
        }
        Miss::Final(Error::Status { address: format!("{}{path}", self.url), status, detail })
    }
}

/// A fault with its causes: what hyper says first is seldom what somebody needs to know.
fn passing(fault: &(dyn std::error::Error + 'static)) -> Miss {
    let mut detail = fault.to_string();
    let mut cause = fault.source();
    while let Some(fault) = cause {
        detail = format!("{detail}: {fault}");
        cause = fault.source();
    }
    Miss::Passing { detail, retry_after: None }
}
