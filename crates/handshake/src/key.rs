//! RSA key pairs: made fresh, or read from what an operator keeps.

use std::ops::RangeInclusive;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::der::{Decode, SecretDocument};
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey, PrivateKeyInfoRef};
use rsa::traits::PublicKeyParts;
use rsa::{PrivateKey, pkcs1};

use crate::HandshakeError;

/// The sizes of RSA keys that are taken, in bits.
///
/// Below 1024 a key is broken by anybody; above 4096 one handshake costs more of the processor than a
/// stranger may ask for.
pub const KEY_BITS: RangeInclusive<usize> = 1024..=4096;

/// A private key and its public half as the handshake writes it.
struct KeyPair {
    private: PrivateKey,
    public_text: Vec<u8>,
}

impl KeyPair {
    fn generate(bits: usize) -> Result<Self, HandshakeError> {
        check_size(bits)?;
        Self::of(PrivateKey::new(&mut rand::rng(), bits).map_err(|_| HandshakeError::KeySize(bits))?)
    }

    fn decode(key: &[u8]) -> Result<Self, HandshakeError> {
        let wrong = |why: &dyn std::fmt::Display| HandshakeError::NotAPrivateKey(why.to_string());
        let document;
        let der = match std::str::from_utf8(key) {
            Ok(text) if text.contains("-----BEGIN") => {
                let (label, decoded) = SecretDocument::from_pem(text).map_err(|e| wrong(&e))?;
                if label == "ENCRYPTED PRIVATE KEY" {
                    return Err(wrong(&"it is encrypted with a password"));
                }
                document = decoded;
                document.as_bytes()
            }
            _ => key,
        };
        // PKCS#8 is a frame around PKCS#1 that also names the algorithm.
        let inner = PrivateKeyInfoRef::try_from(der).map_or(der, |info| info.private_key.as_bytes());
        let parts = pkcs1::RsaPrivateKeyRef::from_der(inner).map_err(|e| wrong(&e))?;
        check_size(bits(parts.modulus.as_bytes()))?;
        let private = if inner.len() == der.len() {
            PrivateKey::from_pkcs1_der(der).map_err(|e| wrong(&e))
        } else {
            PrivateKey::from_pkcs8_der(der).map_err(|e| wrong(&e))
        };
        Self::of(private?)
    }

    fn of(private: PrivateKey) -> Result<Self, HandshakeError> {
        let spki = private.to_public_key().to_public_key_der();
        let spki = spki.map_err(|fault| HandshakeError::NotAPrivateKey(fault.to_string()))?;
        Ok(Self { public_text: BASE64_STANDARD.encode(spki.as_bytes()).into_bytes(), private })
    }
}

/// The number of bits of a big-endian number.
pub(crate) fn bits(number: &[u8]) -> usize {
    match number.iter().position(|&byte| byte != 0) {
        Some(first) => (number.len() - first) * 8 - number[first].leading_zeros() as usize,
        None => 0,
    }
}

pub(crate) fn check_size(bits: usize) -> Result<(), HandshakeError> {
    if KEY_BITS.contains(&bits) { Ok(()) } else { Err(HandshakeError::KeySize(bits)) }
}

macro_rules! key {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $type(Arc<KeyPair>);

        impl $type {
            /// A fresh key pair of so many bits. 4096 bits take a second or more to find.
            ///
            /// # Errors
            /// [`HandshakeError::KeySize`] if it is not one of [`KEY_BITS`].
            pub fn generate(bits: usize) -> Result<Self, HandshakeError> {
                KeyPair::generate(bits).map(|pair| Self(Arc::new(pair)))
            }

            /// A key pair that was kept: the bytes of a PKCS#8 or PKCS#1 file, in PEM or in DER, without a
            /// password. `openssl genrsa -out key.pem 2048` makes one.
            ///
            /// # Errors
            /// [`HandshakeError::NotAPrivateKey`] says what is wrong with it, and
            /// [`HandshakeError::KeySize`] if it has not one of [`KEY_BITS`].
            pub fn decode(key: &[u8]) -> Result<Self, HandshakeError> {
                KeyPair::decode(key).map(|pair| Self(Arc::new(pair)))
            }

            /// The public half: base64 of SPKI DER.
            #[must_use]
            pub fn public_text(&self) -> &[u8] {
                &self.0.public_text
            }

            /// The size in bits.
            #[must_use]
            pub fn bits(&self) -> usize {
                bits(&self.private().n().to_be_bytes())
            }

            pub(crate) fn private(&self) -> &PrivateKey {
                &self.0.private
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($type), "({} bits)"), self.bits())
            }
        }
    };
}

key! {
    /// The server's key pair; 1024 bits is what the first msgserver had. Cheap to clone.
    ServerKey
}
key! {
    /// A client's key pair. Cheap to clone; one may serve many connections.
    ClientKey
}

impl ServerKey {
    /// The first message.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        self.public_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_that_are_neither_weak_nor_a_burden_are_made() {
        for bits in [0, 512, 1023, 4097, 16_384] {
            assert_eq!(ServerKey::generate(bits).unwrap_err(), HandshakeError::KeySize(bits));
        }
        assert_eq!(ServerKey::generate(1536).unwrap().bits(), 1536);
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_the_reason() {
        let refusal = |key: &[u8]| ServerKey::decode(key).unwrap_err().to_string();
        assert!(refusal(b"").contains("private key"));
        assert!(refusal(b"-----BEGIN PRIVATE KEY-----\nAAAA\n").contains("PEM"));
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(refusal(sealed.as_bytes()).contains("password"));
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        for (number, count) in
            [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80], 8), (&[1, 0], 9), (&[0x7f, 0xff], 15)]
        {
            assert_eq!(bits(number), count, "{number:?}");
        }
    }
}
