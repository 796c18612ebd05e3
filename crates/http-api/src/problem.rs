//! Errors as RFC 9457 has them.

use msgserver_persistence::StoreError;
use msgserver_protocol::ByeCode;
use msgserver_scheduler::{InvalidPublication, PublishError, Refusal};
use serde::Serialize;
use warp::http::{Response, StatusCode, header};

/// How long a refused client waits, in seconds.
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
    allowed: Option<String>,
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

    /// What was sent is not right.
    pub(crate) fn bad(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// `allowed` is a list as the header has it: `GET, DELETE`.
    pub(crate) fn not_allowed(method: &str, path: &str, allowed: String) -> Self {
        let detail = format!("{path} takes {allowed} and not {method}");
        Self { allowed: Some(allowed), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    pub(crate) fn response(&self) -> Response<Vec<u8>> {
        let mut response =
            Response::builder().status(self.status).header(header::CONTENT_TYPE, "application/problem+json");
        if matches!(self.status, 429 | 503) {
            response = response.header(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.status == 426 {
            response = response.header(header::UPGRADE, "websocket").header("sec-websocket-version", "13");
        }
        if self.status == 401 {
            response = response.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(allowed) = &self.allowed {
            response = response.header(header::ALLOW, allowed);
        }
        let body = serde_json::to_vec(self).expect("texts and a number have a form in JSON");
        response.body(body).expect("the parts of the response are constants")
    }
}

impl From<StoreError> for Problem {
    fn from(fault: StoreError) -> Self {
        let status = match &fault {
            StoreError::Conflict(_) => StatusCode::CONFLICT,
            StoreError::Full { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, fault)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code() {
            ByeCode::BadFrame => StatusCode::BAD_REQUEST,
            ByeCode::Unauthorized | ByeCode::TokenExpired | ByeCode::Revoked => StatusCode::UNAUTHORIZED,
            ByeCode::Timeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal)
    }
}

impl From<InvalidPublication> for Problem {
    fn from(fault: InvalidPublication) -> Self {
        let status = match fault {
            InvalidPublication::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, fault)
    }
}

impl From<PublishError> for Problem {
    fn from(fault: PublishError) -> Self {
        let status = match fault {
            PublishError::Store(fault) => return fault.into(),
            PublishError::Overloaded { .. } | PublishError::TooMuch { .. } => StatusCode::TOO_MANY_REQUESTS,
            PublishError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            PublishError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            PublishError::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, fault)
    }
}
