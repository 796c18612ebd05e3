//! Errors as RFC 9457 has them.

use msgserver_persistence::StoreError;
use msgserver_scheduler::PublishError;
use serde::Serialize;
use warp::http::{Method, Response, StatusCode, header};

/// How long a refused publisher waits, in seconds.
const RETRY_AFTER: &str = "1";

#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// What a method that is not allowed would have to be.
    #[serde(skip)]
    allowed: Option<Method>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl ToString) -> Self {
        let title = status.canonical_reason().unwrap_or("error");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.to_string(),
            allowed: None,
        }
    }

    pub(crate) fn not_allowed(method: &Method, path: &str, allowed: Method) -> Self {
        let detail = format!("{path} takes {allowed} and not {method}");
        Self { allowed: Some(allowed), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    pub(crate) fn response(&self) -> Response<Vec<u8>> {
        let mut response =
            Response::builder().status(self.status).header(header::CONTENT_TYPE, "application/problem+json");
        if matches!(self.status, 429 | 503) {
            response = response.header(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.status == 401 {
            response = response.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(allowed) = &self.allowed {
            response = response.header(header::ALLOW, allowed.as_str());
        }
        let body = serde_json::to_vec(self).expect("texts and a number have a form in JSON");
        response.body(body).expect("the parts of the response are constants")
    }
}

impl From<PublishError> for Problem {
    fn from(fault: PublishError) -> Self {
        let status = match &fault {
            PublishError::Store(StoreError::Conflict(_)) => StatusCode::CONFLICT,
            PublishError::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            PublishError::Store(_) | PublishError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            PublishError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            PublishError::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, fault)
    }
}
