//! Keys as they stand in a file: PEM, JSON Web Keys, or a secret as it is.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::private_jwk::PrivatePart;
use crate::{Key, KeyError};

/// The longest file, or answer, that is read for keys.
pub(crate) const MAX_KEYS_BYTES: usize = 1024 * 1024;

impl Key {
    /// The keys of a text: blocks of PEM, a JWK, a JWKS, or else a secret as it is, without a line end behind it.
    ///
    /// ```
    /// use msgserver_access::{Algorithm, Key};
    ///
    /// let keys = Key::read(b"0123456789abcdef0123456789abcdef\n")?;
    /// assert_eq!(keys[0].algorithm(), Algorithm::Hs256);
    /// assert!(Key::read(b"too short").is_err());
    /// # Ok::<(), msgserver_access::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with one of them. Of a JWKS, keys that are for something else are passed
    /// over, as long as one is left.
    pub fn read(text: &[u8]) -> Result<Vec<Self>, KeyError> {
        let trimmed = text.trim_ascii();
        if trimmed.starts_with(b"-----BEGIN ") {
            return pem_blocks(trimmed);
        }
        if trimmed.starts_with(b"{") {
            return json_keys(trimmed);
        }
        let end = text.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
        Ok(vec![Self::secret(&text[..end])?])
    }

    /// The public keys of a JWK or a JWKS.
    pub(crate) fn read_public(json: &[u8]) -> Result<Vec<Self>, KeyError> {
        let keys = json_keys(json)?;
        if keys.iter().any(Self::can_sign) { Err(KeyError::PublicSecret) } else { Ok(keys) }
    }

    /// The keys of a file.
    ///
    /// # Errors
    /// [`KeyError`] names the file if it cannot be read, and else what is wrong in it.
    pub fn read_file(path: &Path) -> Result<Vec<Self>, KeyError> {
        Self::read(&text_of(path)?).map_err(|fault| unreadable(path, fault))
    }
}

fn unreadable(path: &Path, fault: impl std::fmt::Display) -> KeyError {
    KeyError::Unreadable { place: path.display().to_string(), fault: fault.to_string() }
}

/// What stands in a file of keys.
pub(crate) fn text_of(path: &Path) -> Result<Vec<u8>, KeyError> {
    let text = std::fs::read(path).map_err(|fault| unreadable(path, fault))?;
    match text.len() {
        0..=MAX_KEYS_BYTES => Ok(text),
        _ => Err(unreadable(path, format_args!("it is longer than {MAX_KEYS_BYTES} bytes"))),
    }
}

/// Each block by itself, so that a file can hold the next key beside the present one.
fn pem_blocks(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let text = String::from_utf8_lossy(text);
    let blocks = text.split("-----BEGIN ").skip(1).map(|block| {
        let label = block.split("-----").next().unwrap_or_default();
        Key::pem(label, format!("-----BEGIN {}\n", block.trim_end()).as_bytes())
    });
    blocks.collect()
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

fn json_keys(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let json: Value = serde_json::from_slice(text)?;
    if json.get("keys").is_none() {
        let private: PrivatePart = serde_json::from_value(json.clone())?;
        let key = Key::jwk(serde_json::from_value(json)?, &private).ok_or(KeyError::None)??;
        return Ok(vec![key]);
    }
    let set: KeySet = serde_json::from_value(json)?;
    let mut keys = Vec::new();
    for jwk in set.keys {
        // Sets grow keys of kinds that nobody here has heard of.
        let private = serde_json::from_value::<PrivatePart>(jwk.clone()).ok();
        let public = serde_json::from_value(jwk).ok();
        let Some(key) = public.zip(private).and_then(|(public, private)| Key::jwk(public, &private)) else {
            continue;
        };
        keys.push(key?);
    }
    if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
}
