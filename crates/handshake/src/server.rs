//! The server's side.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rand::Rng;
use rsa::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::traits::PublicKeyParts;
use rsa::{PrivateKey, PublicKey};

use crate::{HandshakeError, SessionCipher};

/// The sizes of RSA keys that are taken, in bits.
pub const KEY_BITS: std::ops::RangeInclusive<usize> = 1024..=4096;

/// The longest second message: a 4096-bit client key is 736 characters, which is 7 blocks of 128 bytes
/// under the smallest server key and 2 of 512 under the largest; in base64 below 1,400. Doubled.
pub const MAX_STEP_BYTES: usize = 2800;

/// The server's key pair. Cheap to clone.
#[derive(Clone)]
pub struct ServerKey {
    private: Arc<PrivateKey>,
    hello: Arc<[u8]>,
}

impl ServerKey {
    /// A fresh key pair of so many bits; 1024 is what the first msgserver had.
    ///
    /// # Errors
    /// [`HandshakeError::KeySize`] if it is not one of [`KEY_BITS`].
    pub fn generate(bits: usize) -> Result<Self, HandshakeError> {
        if !KEY_BITS.contains(&bits) {
            return Err(HandshakeError::KeySize(bits));
        }
        let private = PrivateKey::new(&mut rand::rng(), bits).map_err(|_| HandshakeError::KeySize(bits))?;
        let spki = private.to_public_key().to_public_key_der().map_err(|_| HandshakeError::NotAPublicKey)?;
        Ok(Self {
            private: Arc::new(private),
            hello: BASE64_STANDARD.encode(spki.as_bytes()).into_bytes().into(),
        })
    }

    /// The first message.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerKey({} bits)", self.private.size() * 8)
    }
}

/// How far a handshake is.
#[derive(Debug)]
pub enum Progress {
    /// More has to come.
    Incomplete,
    /// It is done.
    Done {
        /// The third message.
        reply: Vec<u8>,
        /// The connection's key.
        cipher: SessionCipher,
        /// What came behind the second message: the client's authentication text, if it was quick.
        rest: Vec<u8>,
    },
}

/// Waits for the second message, in whatever pieces it comes.
#[derive(Debug)]
pub struct ServerHandshake {
    key: ServerKey,
    seen: Vec<u8>,
    /// Characters of `seen` whose blocks are decrypted: no block is decrypted twice, so sending byte by
    /// byte does not cost the server more.
    decrypted: usize,
    plain: Vec<u8>,
}

impl ServerHandshake {
    /// Begins; the caller sends [`ServerKey::hello`].
    #[must_use]
    pub fn new(key: &ServerKey) -> Self {
        Self { key: key.clone(), seen: Vec::new(), decrypted: 0, plain: Vec::new() }
    }

    /// Takes what came.
    ///
    /// # Errors
    /// [`HandshakeError`] if it cannot become a second message any more.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        self.seen.extend_from_slice(bytes);
        let text = self.seen.iter().take_while(|byte| is_base64(byte)).count();
        let block = self.key.private.size();
        // Blocks end at a multiple of 4 characters only now and then (128 bytes: every third), and where
        // the base64 is padded it ends; so each multiple of a block is tried when it is there.
        for end in (4..=text).step_by(4).skip(self.decrypted / 4) {
            let padding = self.seen[..end].iter().rev().take_while(|&&byte| byte == b'=').count();
            let decoded = end / 4 * 3 - padding;
            if decoded == 0 || !decoded.is_multiple_of(block) {
                continue;
            }
            let Ok(cipher_text) = BASE64_STANDARD.decode(&self.seen[..end]) else {
                return Err(HandshakeError::NotBase64);
            };
            let done = self.plain_blocks(block);
            for part in cipher_text.chunks(block).skip(done) {
                let plain = self.key.private.pkcs1v15_decrypt(part).map_err(|_| HandshakeError::BadBlock)?;
                // A block that is not padded right decrypts to noise and not to an error, so that nobody
                // learns which it was; noise is not base64.
                if plain.is_empty() || !plain.iter().all(is_base64) {
                    return Err(HandshakeError::BadBlock);
                }
                self.plain.extend_from_slice(&plain);
            }
            self.decrypted = end;
            if let Some(client) = public_key(&self.plain) {
                let rest =
                    self.seen[end..].iter().skip_while(|byte| b"|\0\r\n".contains(byte)).copied().collect();
                return finish(&client?, rest);
            }
        }
        if text < self.seen.len() {
            // It ended before it was a key.
            let fault = if self.decrypted == text && text > 0 {
                HandshakeError::NotAPublicKey
            } else {
                HandshakeError::NotBase64
            };
            return Err(fault);
        }
        if self.seen.len() > MAX_STEP_BYTES {
            return Err(HandshakeError::TooLong { limit: MAX_STEP_BYTES });
        }
        Ok(Progress::Incomplete)
    }

    fn plain_blocks(&self, block: usize) -> usize {
        self.decrypted / 4 * 3 / block
    }
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(byte)
}

/// The public key if `text` is a whole one: DER says how long it is, so a part is told from the whole.
fn public_key(text: &[u8]) -> Option<Result<PublicKey, HandshakeError>> {
    let der = BASE64_STANDARD.decode(text).ok()?;
    let key = PublicKey::from_public_key_der(&der).ok()?;
    let bits = key.size() * 8;
    Some(if KEY_BITS.contains(&bits) { Ok(key) } else { Err(HandshakeError::KeySize(bits)) })
}

fn finish(client: &PublicKey, rest: Vec<u8>) -> Result<Progress, HandshakeError> {
    let mut key = [0; 16];
    rand::rng().fill_bytes(&mut key);
    let sealed = client.pkcs1v15_encrypt(&key).map_err(|_| HandshakeError::NotAPublicKey)?;
    let reply = BASE64_STANDARD.encode(sealed).into_bytes();
    Ok(Progress::Done { reply, cipher: SessionCipher::from_key(key), rest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientHandshake;
    use msgserver_protocol::Cipher;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static KEY: LazyLock<ServerKey> = LazyLock::new(|| ServerKey::generate(1024).unwrap());

    #[test]
    fn the_messages_have_the_lengths_that_old_clients_know() {
        assert_eq!(KEY.hello().len(), 216);
        let (_, second) = ClientHandshake::answer(KEY.hello(), 1024).unwrap();
        assert_eq!(second.len(), 344);
    }

    #[test]
    fn it_works_in_any_pieces_with_keys_of_each_size_and_keeps_what_follows() {
        for bits in [1024, 2048] {
            let (client, mut second) = ClientHandshake::answer(KEY.hello(), bits).unwrap();
            let mut server = ServerHandshake::new(&KEY);
            second.extend_from_slice(b"|");
            let mut done = None;
            for byte in &second {
                match server.feed(&[*byte]).unwrap() {
                    Progress::Incomplete => assert!(done.is_none()),
                    progress => {
                        done = Some(progress);
                        break;
                    }
                }
            }
            let Some(Progress::Done { reply, cipher, rest }) = done else {
                panic!("not done at {bits} bits")
            };
            assert!(rest.is_empty());
            let mut sealed = Vec::new();
            cipher.seal("schöne Grüße, sehr lang und mehr als ein Block".as_bytes(), &mut sealed);
            let opened = client.finish(&reply).unwrap().open(&sealed).unwrap();
            assert_eq!(opened, "schöne Grüße, sehr lang und mehr als ein Block".as_bytes());
        }
    }

    #[test]
    fn an_aes_vector_of_the_standard() {
        // FIPS 197, appendix C.1, as the first block.
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let plain: [u8; 16] = std::array::from_fn(|i| (i * 0x11) as u8);
        let mut out = Vec::new();
        SessionCipher::from_key(key).seal(&plain, &mut out);
        let bytes = BASE64_STANDARD.decode(&out).unwrap();
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..16], 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes());
    }

    #[test]
    fn garbage_is_refused() {
        assert_eq!(ServerHandshake::new(&KEY).feed(b"GET / HTTP").unwrap_err(), HandshakeError::NotBase64);
        let wrong = BASE64_STANDARD.encode([7; 128]);
        assert_eq!(ServerHandshake::new(&KEY).feed(wrong.as_bytes()).unwrap_err(), HandshakeError::BadBlock);
        assert!(matches!(
            ServerHandshake::new(&KEY).feed(&vec![b'A'; MAX_STEP_BYTES + 1]).unwrap_err(),
            HandshakeError::BadBlock | HandshakeError::TooLong { .. }
        ));
        assert_eq!(ServerKey::generate(512).unwrap_err(), HandshakeError::KeySize(512));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = ServerHandshake::new(&KEY).feed(&bytes);
        }

        #[test]
        fn what_is_sealed_opens_and_holds_no_bar(plain: Vec<u8>, key: [u8; 16]) {
            let cipher = SessionCipher::from_key(key);
            let mut sealed = Vec::new();
            cipher.seal(&plain, &mut sealed);
            prop_assert!(!sealed.contains(&b'|'));
            prop_assert_eq!(cipher.open(&sealed), Some(plain));
        }
    }
}
