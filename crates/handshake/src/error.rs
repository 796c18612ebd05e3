//! What can go wrong in a handshake.

/// Why a handshake failed. The texts are short: old clients get them as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// More came, or was announced, than any permitted key needs.
    #[error("the handshake message is longer than {limit} bytes")]
    TooLong {
        /// What is allowed.
        limit: usize,
    },
    /// What came is not base64.
    #[error("the handshake message is not base64")]
    NotBase64,
    /// A block does not decrypt.
    #[error("a handshake block is not PKCS#1 v1.5 under the key that was sent")]
    BadBlock,
    /// What was inside is not a public key.
    #[error("the handshake message holds no RSA public key in base64 of SPKI DER")]
    NotAPublicKey,
    /// The key has a size that is not taken.
    #[error("an RSA key has to have 1024 to 4096 bits, not {0}")]
    KeySize(usize),
    /// The key has a permitted size, and numbers that make no RSA key.
    #[error("an RSA key has to have an odd modulus and an odd exponent from 3 to 2^33 - 1")]
    UnusableKey,
    /// What was to be a key pair is none.
    #[error("not an RSA private key in PKCS#8 or PKCS#1, PEM or DER, without a password: {0}")]
    NotAPrivateKey(String),
}
