//! AES-128-ECB with PKCS#7, as base64 text.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyInit};
use base64::prelude::{BASE64_STANDARD, Engine};
use msgserver_protocol::Cipher;

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
        let sealed = ecb::Encryptor::<Aes128>::new(&self.0.into()).encrypt_padded_vec::<Pkcs7>(plain);
        out.extend_from_slice(BASE64_STANDARD.encode(sealed).as_bytes());
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        ecb::Decryptor::<Aes128>::new(&self.0.into()).decrypt_padded_vec::<Pkcs7>(&sealed).ok()
    }
}

impl std::fmt::Debug for SessionCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionCipher(..)")
    }
}
