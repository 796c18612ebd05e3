//! The server's side.

use base64::prelude::{BASE64_STANDARD, Engine};
use rand::Rng;
use rsa::PublicKey;
use rsa::traits::PublicKeyParts;

use crate::public_key::public_key;
use crate::{HandshakeError, ServerKey, SessionCipher};

/// The longest second message: a 4096-bit client key is 736 characters, which is 7 blocks of 128 bytes
/// under the smallest server key and 2 of 512 under the largest; in base64 below 1,400. Doubled.
pub const MAX_STEP_BYTES: usize = 2800;

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
        /// What came behind the second message.
        rest: Vec<u8>,
    },
}

/// Waits for the second message, in whatever pieces it comes.
///
/// Line breaks are passed over wherever they stand, in the message and in the key inside it: the first
/// msgserver's base64 reader did so, and some platforms' base64 writers break lines.
///
/// [`ServerHandshake::take`] is cheap, [`ServerHandshake::advance`] is not: each block costs an RSA
/// operation under the private key. Where that must not happen at once, the two are called apart.
#[derive(Debug)]
pub struct ServerHandshake {
    key: ServerKey,
    /// How much came, line breaks included.
    received: usize,
    seen: Vec<u8>,
    /// Characters of `seen` that have been decrypted. No block is decrypted twice, so sending byte by byte
    /// does not cost the server more.
    advanced: usize,
    blocks: usize,
    /// What was in the blocks, without line breaks.
    plain: Vec<u8>,
}

impl ServerHandshake {
    /// Begins; the caller sends [`ServerKey::hello`].
    #[must_use]
    pub fn new(key: &ServerKey) -> Self {
        Self { key: key.clone(), received: 0, seen: Vec::new(), advanced: 0, blocks: 0, plain: Vec::new() }
    }

    /// Takes what came and goes as far as it leads.
    ///
    /// # Errors
    /// [`HandshakeError`] if it cannot become a second message any more.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        if self.take(bytes)? { self.advance() } else { Ok(Progress::Incomplete) }
    }

    /// Takes what came; says whether [`ServerHandshake::advance`] has something to decrypt now.
    ///
    /// # Errors
    /// [`HandshakeError`] if it cannot become a second message any more.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, HandshakeError> {
        self.received += bytes.len();
        self.seen.extend(bytes.iter().filter(|byte| !is_line_break(byte)));
        if self.next_end().is_some() {
            return Ok(true);
        }
        self.check_hope().map(|()| false)
    }

    /// Decrypts what is there.
    ///
    /// # Errors
    /// [`HandshakeError`] if it cannot become a second message any more.
    pub fn advance(&mut self) -> Result<Progress, HandshakeError> {
        while let Some(end) = self.next_end() {
            let sealed = BASE64_STANDARD.decode(&self.seen[..end]).map_err(|_| HandshakeError::NotBase64)?;
            for block in sealed.chunks(self.block()).skip(self.blocks) {
                let plain = self.key.private().pkcs1v15_decrypt(block);
                let plain = plain.map_err(|_| HandshakeError::BadBlock)?;
                // A block that is not padded right decrypts to noise and not to an error, so that nobody
                // learns which it was; noise is not base64.
                if plain.is_empty() || !plain.iter().all(|byte| is_base64(byte) || is_line_break(byte)) {
                    return Err(HandshakeError::BadBlock);
                }
                self.plain.extend(plain.iter().filter(|byte| !is_line_break(byte)));
                self.blocks += 1;
            }
            self.advanced = end;
            if let Some(client) = public_key(&self.plain)? {
                return finish(&client, self.seen.split_off(end));
            }
        }
        self.check_hope().map(|()| Progress::Incomplete)
    }

    fn block(&self) -> usize {
        self.key.private().size()
    }

    /// Characters of the second message so far.
    fn text(&self) -> usize {
        self.seen.iter().take_while(|byte| is_base64(byte)).count()
    }

    /// Where the next whole number of blocks ends, if that is there. Only every so often is that a multiple
    /// of 4 characters (with blocks of 128 bytes every third), or else the base64 is padded and ends there.
    fn next_end(&self) -> Option<usize> {
        (self.advanced + 4..=self.text()).step_by(4).find(|&end| {
            let padding = self.seen[..end].iter().rev().take_while(|&&byte| byte == b'=').count();
            // More than two are no base64; then there is nothing to decode.
            padding <= 2 && (end / 4 * 3 - padding).is_multiple_of(self.block())
        })
    }

    /// Whether what came can still become a message, once all blocks in it are decrypted.
    fn check_hope(&self) -> Result<(), HandshakeError> {
        let text = self.text();
        let padded = self.seen[..text].iter().position(|&byte| byte == b'=');
        let ended = text < self.seen.len() || padded.is_some_and(|at| text > at | 3);
        match (ended, self.advanced == text && text > 0) {
            (true, true) => Err(HandshakeError::NotAPublicKey),
            (true, false) => Err(HandshakeError::NotBase64),
            _ if self.received > MAX_STEP_BYTES => Err(HandshakeError::TooLong { limit: MAX_STEP_BYTES }),
            _ => Ok(()),
        }
    }
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(byte)
}

const fn is_line_break(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn finish(client: &PublicKey, rest: Vec<u8>) -> Result<Progress, HandshakeError> {
    let mut key = [0; 16];
    rand::rng().fill_bytes(&mut key);
    let sealed = client.pkcs1v15_encrypt(&key).map_err(|_| HandshakeError::UnusableKey)?;
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
        let mut endless = ServerHandshake::new(&KEY);
        assert_eq!(
            (0..).find_map(|_| endless.feed(b"\r\n").err()),
            Some(HandshakeError::TooLong { limit: MAX_STEP_BYTES })
        );
    }

    #[test]
    fn base64_that_has_ended_without_being_a_key_is_refused_at_once() {
        for (text, fault) in [
            ("====", HandshakeError::NotBase64),
            ("aGVsbG8=", HandshakeError::NotBase64),
            ("aGVsbG8=aGVs", HandshakeError::NotBase64),
            ("aGVsbG8|", HandshakeError::NotBase64),
        ] {
            assert_eq!(ServerHandshake::new(&KEY).feed(text.as_bytes()).unwrap_err(), fault, "{text}");
        }
        assert!(matches!(ServerHandshake::new(&KEY).feed(b"aGVsbG8").unwrap(), Progress::Incomplete));
    }

    #[test]
    fn what_follows_the_second_message_is_kept_in_order() {
        let (_, mut second) = ClientHandshake::answer(KEY.hello(), 1024).unwrap();
        second.extend_from_slice(b"|\0QUJD");
        let Progress::Done { rest, .. } = ServerHandshake::new(&KEY).feed(&second).unwrap() else {
            panic!("not done")
        };
        assert_eq!(rest, b"|\0QUJD");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "[A-Za-z0-9+/=|\r\n]{0,400}") {
            let _ = ServerHandshake::new(&KEY).feed(&bytes);
            let _ = ServerHandshake::new(&KEY).feed(text.as_bytes());
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
