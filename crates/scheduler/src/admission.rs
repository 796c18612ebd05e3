//! Who may connect, and as whom.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use ipnet::IpNet;
use msgserver_message::UserId;
use subtle::ConstantTimeEq;

/// Who may connect at all. Called in the accept loop: must not wait.
pub trait Filter: Send + Sync + 'static {
    /// Whether a peer may connect.
    fn allows(&self, peer: SocketAddr) -> bool;
}

impl<F: Fn(SocketAddr) -> bool + Send + Sync + 'static> Filter for F {
    fn allows(&self, peer: SocketAddr) -> bool {
        self(peer)
    }
}

/// Networks that may connect and networks that may not.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    /// If not empty, only these may.
    pub allow: Vec<IpNet>,
    /// These may not, whatever else is said.
    pub deny: Vec<IpNet>,
}

impl Networks {
    /// Whether nothing is said, and everybody may connect.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

impl Filter for Networks {
    fn allows(&self, peer: SocketAddr) -> bool {
        // An IPv4 peer of an IPv6 socket is still an IPv4 peer.
        let ip: IpAddr = peer.ip().to_canonical();
        let among = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&ip));
        !among(&self.deny) && (self.allow.is_empty() || among(&self.allow))
    }
}

/// Who a client is.
///
/// A function is one, with any error that can be shown; the client gets its text:
///
/// ```
/// use msgserver_message::UserId;
/// use msgserver_scheduler::{AsyncFunction, Authenticate};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let trusting = |text: &str| UserId::new(text);
/// assert_eq!(trusting.authenticate("ada").await?.as_str(), "ada");
///
/// let slower = AsyncFunction(|text: String| async move {
///     // ... ask whoever knows ...
///     Err::<UserId, _>(format!("nobody knows {text}"))
/// });
/// assert_eq!(slower.authenticate("ada").await.unwrap_err(), "nobody knows ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// The user that `text` proves, or the refusal, which the client gets as it is.
    async fn authenticate(&self, text: &str) -> Result<UserId, String>;
}

#[async_trait]
impl<F, E> Authenticate for F
where
    F: Fn(&str) -> Result<UserId, E> + Send + Sync + 'static,
    E: Display,
{
    async fn authenticate(&self, text: &str) -> Result<UserId, String> {
        self(text).map_err(|fault| fault.to_string())
    }
}

/// An [`Authenticate`] of a function that has to wait for its answer. Such a function takes its text by
/// value: what it gives back outlives the call.
#[derive(Debug, Clone, Copy)]
pub struct AsyncFunction<F>(pub F);

#[async_trait]
impl<F, A, E> Authenticate for AsyncFunction<F>
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = Result<UserId, E>> + Send,
    E: Display,
{
    async fn authenticate(&self, text: &str) -> Result<UserId, String> {
        (self.0)(text.to_owned()).await.map_err(|fault| fault.to_string())
    }
}

/// Takes `user;secret` with one secret for all.
pub struct SharedSecret(String);

impl SharedSecret {
    /// The secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

#[async_trait]
impl Authenticate for SharedSecret {
    async fn authenticate(&self, text: &str) -> Result<UserId, String> {
        let (user, secret) = text.rsplit_once(';').ok_or("password is wrong")?;
        if !bool::from(secret.as_bytes().ct_eq(self.0.as_bytes())) {
            return Err("password is wrong".to_owned());
        }
        UserId::new(user).map_err(|fault| fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shared_secret_is_compared_whole() {
        let secret = SharedSecret::new("s3;cret".replace(';', ""));
        assert_eq!(secret.authenticate("ada;s3cret").await.unwrap().as_str(), "ada");
        for text in ["ada", "ada;", "ada;s3cre", "ada;s3crets", ";s3cret", ""] {
            assert!(secret.authenticate(text).await.is_err(), "{text}");
        }
    }

    #[test]
    fn deny_goes_before_allow() {
        let networks = Networks {
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            deny: vec!["10.1.0.0/16".parse().unwrap()],
        };
        let allows = |peer: &str| networks.allows(peer.parse().unwrap());
        assert!(allows("10.2.0.1:1") && allows("[::ffff:10.2.0.1]:1"));
        assert!(!allows("10.1.0.1:1") && !allows("11.0.0.1:1"));
    }
}
