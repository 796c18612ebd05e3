//! Why there is no key.

use crate::key::{MIN_RSA_BITS, MIN_SECRET_BYTES};
use crate::{Algorithm, UnknownAlgorithm};

/// Why there is no key to check or to sign tokens with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file, or the address, gives nothing.
    #[error("{place}: {fault}")]
    Unreadable {
        /// Where the key is.
        place: String,
        /// What happened.
        fault: String,
    },
    /// A secret that could be guessed.
    #[error(
        "a secret has to be at least {MIN_SECRET_BYTES} bytes long, this one has {bytes}; `openssl rand -hex 32` makes one"
    )]
    ShortSecret {
        /// How long it is.
        bytes: usize,
    },
    /// An RSA key that could be broken.
    #[error("an RSA key has to have at least {MIN_RSA_BITS} bits, this one has {bits}")]
    ShortRsa {
        /// How many it has.
        bits: usize,
    },
    /// A block of PEM that is none of the kinds that are read.
    #[error(
        "a PEM block {label:?} that is no RSA, P-256 or Ed25519 key; give PUBLIC KEY, or PRIVATE KEY without a \
         password (`openssl pkcs8 -topk8 -nocrypt` makes that of EC PRIVATE KEY)"
    )]
    Pem {
        /// What stands behind BEGIN.
        label: String,
    },
    /// A key that is not what it says that it is.
    #[error("a key for {algorithm} that is damaged, or of another size or curve")]
    Broken {
        /// What it should be for.
        algorithm: Algorithm,
    },
    /// JSON that is no key.
    #[error("it is no JWK and no JWKS: {0}")]
    Json(#[from] serde_json::Error),
    /// There are keys, and none of them is for tokens.
    #[error("there is no key for HS256, RS256, ES256 or EdDSA in it")]
    None,
    /// A secret or a private key at an address that anybody could read.
    #[error("there is a secret or a private key among the keys; only public keys are taken from an address")]
    PublicSecret,
    /// A public key cannot sign.
    #[error("the key is public; to sign takes the private one, as PEM or JWK, or a secret")]
    CannotSign,
    /// An algorithm that does not go with the key.
    #[error("the key is for {has} and not for {wanted}")]
    Algorithm {
        /// What is asked for.
        wanted: Algorithm,
        /// What the key is for.
        has: Algorithm,
    },
    /// An algorithm that there is not.
    #[error(transparent)]
    UnknownAlgorithm(#[from] UnknownAlgorithm),
    /// An address that is none. It is not repeated, since it may hold a password.
    #[error("it is no address; give one such as https://id.example/.well-known/jwks.json, without a user")]
    Address,
}
