//! Why somebody is not let in.

use msgserver_message::{DeviceId, Timestamp, UserId};

/// Why somebody is not let in. The text is for whoever asked; there is no secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// There is no proof.
    #[error("there is no token; send one")]
    NoToken,
    /// What was sent cannot be a token.
    #[error("the token is no JWT: three parts with dots between them, of which the first is a header")]
    NotAToken,
    /// The token is signed in a way that no key is for.
    #[error("the token's alg is {0:?}; no key of this server is for that")]
    Algorithm(String),
    /// The token names a key that is not among those that count.
    #[error("the token is signed with the key {0:?}, which this server does not know, or not any more")]
    UnknownKey(String),
    /// The token asks for something to be understood that is not.
    #[error("the token has critical headers, which this server does not know")]
    Critical,
    /// It was not made with the key, or was changed.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token does not count yet")]
    NotYet,
    /// It is for another server.
    #[error("the token is not for this server: its aud is another, or missing, or this server has none")]
    Audience,
    /// Somebody else has made it.
    #[error("the token's iss is not the one that this server takes")]
    Issuer,
    /// A claim is missing, or is not what it has to be.
    #[error("the token's claims: {0}")]
    Claims(String),
    /// It was taken back.
    #[error("the token was revoked")]
    Revoked,
    /// It is another user's.
    #[error("the token is for the user {token:?} and not for {said:?}")]
    OtherUser {
        /// Whose it is.
        token: UserId,
        /// Who the client says it is.
        said: UserId,
    },
    /// It is a publisher's, who can be no user.
    #[error("the token is for no user, so it cannot be used as {0:?}; leave the user out")]
    NoUser(UserId),
    /// It is another device's.
    #[error("the token is for the device {token:?} and not for {said:?}")]
    OtherDevice {
        /// Which one it is for.
        token: DeviceId,
        /// Which one the client says it is.
        said: DeviceId,
    },
    /// The application says no.
    #[error("the application refuses")]
    Refused,
    /// It cannot be found out now.
    #[error("{0}; try again later")]
    Unavailable(String),
}

impl Denied {
    /// Whether the same may be let in later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Whether a time has passed.
pub(crate) fn is_over(at: Option<Timestamp>) -> bool {
    at.is_some_and(|at| at <= Timestamp::now())
}
