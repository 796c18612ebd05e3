//! AES-128-ECB with PKCS#7, as base64 text.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit};
use aes::{Aes128Dec, Aes128Enc};
use base64::prelude::{BASE64_STANDARD, Engine};
use msgserver_protocol::Cipher;
use smallvec::SmallVec;

const BLOCK_BYTES: usize = 16;

/// Sealed bytes of payloads up to this long need no memory of their own before they are text.
const SHORT_BYTES: usize = 512;

/// The key of one connection. Only the 16 bytes are held, the key schedule is made anew for each payload:
/// it is ten times as large, and most connections are idle.
#[derive(Clone)]
pub struct SessionCipher([u8; 16]);

impl SessionCipher {
    /// The cipher of an agreed key.
    #[must_use]
    pub const fn from_key(key: [u8; 16]) -> Self {
        Self(key)
    }
}

impl Cipher for SessionCipher {
    fn seal(&self, plain: &[u8], out: &mut Vec<u8>) {
        let padded = (plain.len() / BLOCK_BYTES + 1) * BLOCK_BYTES;
        let mut sealed = SmallVec::<[u8; SHORT_BYTES]>::from_elem(0, padded);
        ecb::Encryptor::<Aes128Enc>::new(&self.0.into())
            .encrypt_padded_b2b::<Pkcs7>(plain, &mut sealed)
            .expect("there is room for the padding");
        let start = out.len();
        out.resize(start + padded.div_ceil(3) * 4, 0);
        BASE64_STANDARD
            .encode_slice(&sealed, &mut out[start..])
            .expect("base64 is four characters for three bytes");
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        ecb::Decryptor::<Aes128Dec>::new(&self.0.into()).decrypt_padded_vec::<Pkcs7>(&sealed).ok()
    }

    fn is_part(&self, sealed: &[u8]) -> bool {
        let padding = sealed.iter().rev().take_while(|&&byte| byte == b'=').count();
        let mut text = sealed[..sealed.len() - padding].iter();
        let ended = padding > 0 || (sealed.len() / 4 * 3).is_multiple_of(BLOCK_BYTES);
        text.all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
            && padding <= 2
            && !(ended && sealed.len().is_multiple_of(4))
    }
}

impl std::fmt::Debug for SessionCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionCipher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_sealed_text_is_told_from_a_whole_number_of_blocks() {
        let cipher = SessionCipher::from_key([7; 16]);
        for length in [0, 1, 15, 16, 31, 32, 47] {
            let mut sealed = Vec::new();
            cipher.seal(&vec![b'x'; length], &mut sealed);
            for end in 1..=sealed.len() {
                // 48 bytes are 64 characters without padding: such a beginning could be all.
                let whole = end == sealed.len() || end % 64 == 0;
                assert_eq!(cipher.is_part(&sealed[..end]), !whole, "{end} characters of {length} bytes");
            }
        }
        for garbage in ["a b", "a|b", "=a", "====", "QUE="] {
            assert!(!cipher.is_part(garbage.as_bytes()), "{garbage}");
        }
    }
}
