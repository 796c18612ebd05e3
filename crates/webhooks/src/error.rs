//! What an endpoint cannot be.

/// What an endpoint cannot be. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The URL is not one that a POST can go to.
    #[error("{url:?} is no URL for a webhook: {reason}; give one such as \"https://app.example/hooks\"")]
    Url {
        /// The URL, without what stands before its host.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The secret is not one. It is not repeated.
    #[error("a secret is \"whsec_\" and the base64 of 24 to 64 random bytes; this one {0}")]
    Secret(&'static str),
    /// There is no secret, and so no signature.
    #[error("the webhook at {0} has no secret; give at least one")]
    NoSecret(String),
    /// A target is not one.
    #[error("{0:?} is no target; give \"all\", \"user/NAME\" or \"topic/NAME\", where NAME may end with *")]
    Target(String),
    /// The system's certificates cannot be read, and a URL begins with `https`.
    #[error("the certificates that https is checked with cannot be read: {0}")]
    Certificates(String),
}
