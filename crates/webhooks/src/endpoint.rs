//! An HTTP endpoint, and what it is told.

use std::fmt;
use std::time::Duration;

use hyper::Uri;
use msgserver_message::Stage;

use crate::selection::Selection;
use crate::{Retry, Secret, TargetPattern, WebhookError};

/// An HTTP endpoint that is told of steps.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(crate) url: Uri,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) selection: Selection,
    pub(crate) timeout: Duration,
    pub(crate) batch: usize,
    pub(crate) backlog: usize,
    pub(crate) retry: Retry,
}

impl Endpoint {
    /// The stages that are told unless said otherwise: the ends that a message can come to, which its publisher is
    /// not told otherwise.
    pub const STAGES: [Stage; 3] = [Stage::Acknowledged, Stage::Expired, Stage::Cancelled];

    /// How long a request may take, unless said otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(15);

    /// How many events go in one request at most, unless said otherwise.
    pub const BATCH: usize = 100;

    /// How many bytes of memory events may take that wait, unless said otherwise: about 50,000 events.
    pub const BACKLOG: usize = 16 * 1024 * 1024;

    /// The endpoint at an `http` or `https` URL.
    ///
    /// # Errors
    /// [`WebhookError::Url`] if it is not one, or has a user and a password in it.
    pub fn new(url: &str) -> Result<Self, WebhookError> {
        let refused = |reason| {
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            let url = if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") };
            WebhookError::Url { url, reason }
        };
        let uri: Uri = url.parse().map_err(|_| refused("it cannot be read"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refused("it begins with neither http:// nor https://"));
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                return Err(refused("it names a user; the signature shows who sends"));
            }
            Some(authority) if !authority.host().is_empty() => {}
            _ => return Err(refused("it names no host")),
        }
        Ok(Self {
            url: uri,
            secrets: Vec::new(),
            selection: Selection { stages: Self::STAGES.to_vec(), targets: Vec::new() },
            timeout: Self::TIMEOUT,
            batch: Self::BATCH,
            backlog: Self::BACKLOG,
            retry: Retry::default(),
        })
    }

    /// One more secret. There is a signature of each: while a secret is being replaced, the endpoint may know either.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Which steps it is told of; [`Endpoint::STAGES`] unless said.
    #[must_use]
    pub fn stages(mut self, stages: impl Into<Vec<Stage>>) -> Self {
        self.selection.stages = stages.into();
        self
    }

    /// Whose messages it is told of: those that one of the patterns fits. All unless said.
    #[must_use]
    pub fn targets(mut self, targets: impl Into<Vec<TargetPattern>>) -> Self {
        self.selection.targets = targets.into();
        self
    }

    /// How long a request may take, from the connection to the status of the answer; [`Endpoint::TIMEOUT`] unless said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many events go in one request at most; [`Endpoint::BATCH`] unless said.
    #[must_use]
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = events.max(1);
        self
    }

    /// How many bytes of memory events may take that wait, about; [`Endpoint::BACKLOG`] unless said. Beyond it the
    /// oldest go.
    #[must_use]
    pub fn backlog(mut self, bytes: usize) -> Self {
        self.backlog = bytes;
        self
    }

    /// How often, and for how long, it is tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }
}

/// Where it is, without its path, which can be as good as a password.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.url.scheme_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_to_be_one_that_a_post_can_go_to() {
        for (url, word) in [
            ("", "cannot be read"),
            ("app.example/hooks", "cannot be read"),
            ("/hooks", "neither"),
            ("ftp://app.example", "neither"),
            ("http://", "cannot be read"),
            ("https://ada:s3cret@app.example/hooks", "names a user"),
        ] {
            let said = Endpoint::new(url).unwrap_err().to_string();
            assert!(said.contains(word) && !said.contains("s3cret"), "{url}: {said}");
        }
        let endpoint = Endpoint::new("https://app.example:8443/hooks/T0K3N?a=b").unwrap();
        assert_eq!(endpoint.to_string(), "https://app.example:8443");
        assert!(endpoint.is_https());
        assert!(Endpoint::new("http://[::1]:80/").is_ok());
    }
}
