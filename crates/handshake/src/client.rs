//! The client's side.

use base64::prelude::{BASE64_STANDARD, Engine};
use rsa::PublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;

use crate::{ClientKey, HandshakeError, SessionCipher};

/// Padding of PKCS#1 v1.5 takes 11 bytes of each block.
const PADDING_BYTES: usize = 11;

/// A client that has sent its key and waits for the third message.
#[derive(Debug)]
pub struct ClientHandshake {
    key: ClientKey,
}

impl ClientHandshake {
    /// Takes the first message; gives the second, with a fresh key of so many bits.
    ///
    /// # Errors
    /// [`HandshakeError`] if the first message is not a public key or the size is not taken.
    pub fn answer(hello: &[u8], bits: usize) -> Result<(Self, Vec<u8>), HandshakeError> {
        Self::answer_with(hello, ClientKey::generate(bits)?)
    }

    /// Takes the first message; gives the second, with a key that the client has.
    ///
    /// # Errors
    /// [`HandshakeError`] if the first message is not a public key.
    pub fn answer_with(hello: &[u8], key: ClientKey) -> Result<(Self, Vec<u8>), HandshakeError> {
        let der = BASE64_STANDARD.decode(hello).map_err(|_| HandshakeError::NotBase64)?;
        let server = PublicKey::from_public_key_der(&der).map_err(|_| HandshakeError::NotAPublicKey)?;
        let mut sealed = Vec::new();
        for part in key.public_text().chunks(server.size() - PADDING_BYTES) {
            let block = server.pkcs1v15_encrypt(part).map_err(|_| HandshakeError::UnusableKey)?;
            sealed.extend_from_slice(&block);
        }
        Ok((Self { key }, BASE64_STANDARD.encode(sealed).into_bytes()))
    }

    /// Takes the third message.
    ///
    /// # Errors
    /// [`HandshakeError`] if it does not hold a key.
    pub fn finish(self, reply: &[u8]) -> Result<SessionCipher, HandshakeError> {
        let sealed = BASE64_STANDARD.decode(reply).map_err(|_| HandshakeError::NotBase64)?;
        let key = self.key.private().pkcs1v15_decrypt(&sealed).map_err(|_| HandshakeError::BadBlock)?;
        key.try_into().map(SessionCipher::from_key).map_err(|_| HandshakeError::BadBlock)
    }
}
