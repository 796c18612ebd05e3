//! Which web pages may connect.

use warp::http::{HeaderMap, header};

use crate::problem::Problem;

/// Which web pages may open sessions. A browser says whose page asks; other programs say nothing, and may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// Pages of this host, and these: `https://example.org`, or `*` for all.
    pub(crate) fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        Self(allowed.into_iter().map(|origin| origin.to_ascii_lowercase()).collect())
    }

    /// Whose page asks, if it may.
    pub(crate) fn check<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h str>, Problem> {
        let Some(given) = headers.get(header::ORIGIN) else { return Ok(None) };
        let origin = given.to_str().unwrap_or_default();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_own =
            origin.split_once("://").is_some_and(|(_, of)| !of.is_empty() && of.eq_ignore_ascii_case(host));
        let is_allowed =
            || self.0.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin));
        if is_own || is_allowed() {
            return Ok(Some(origin));
        }
        let detail = format!(
            "pages of {origin:?} may not connect here; their origin has to be among browser.origins of the server"
        );
        Err(Problem::new(warp::http::StatusCode::FORBIDDEN, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(origins: &Origins, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", "push.example.org:3365".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        origins.check(&headers).is_ok()
    }

    #[test]
    fn pages_of_this_host_and_programs_may_and_others_only_if_named() {
        let (own, named) = (Origins::default(), Origins::new(["https://App.example.org".to_owned()]));
        assert!(may(&own, None) && may(&own, Some("http://push.example.org:3365")));
        for other in ["https://app.example.org", "http://push.example.org", "null", "http://", ""] {
            assert!(!may(&own, Some(other)), "{other}");
        }
        assert!(may(&named, Some("https://app.example.org")));
        assert!(!may(&named, Some("https://app.example.org.evil.example")));
        assert!(may(&Origins::new(["*".to_owned()]), Some("null")));
    }
}
