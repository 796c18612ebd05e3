//! A client's public key, out of the text that the second message carries.

use base64::prelude::{BASE64_STANDARD, Engine};
use rsa::pkcs8::SubjectPublicKeyInfoRef;
use rsa::pkcs8::der::{Decode, Encode, Header, SliceReader, Tag};
use rsa::{PublicKey, pkcs1};

use crate::key::{bits, check_size};
use crate::{HandshakeError, MAX_STEP_BYTES};

/// The characters in which the length of a DER object is found: 6 bytes, its tag and at most 5 of length.
const HEAD: usize = 8;

/// The key if `text`, base64 of SPKI DER without line breaks, is whole; nothing if more has to come.
///
/// DER says at its start how long it is. So what cannot become a key is refused when that is known, and its
/// client does not wait for a deadline to hear of it.
pub(crate) fn public_key(text: &[u8]) -> Result<Option<PublicKey>, HandshakeError> {
    let Some(head) = text.first_chunk::<HEAD>() else { return Ok(None) };
    let characters = der_bytes(head).ok_or(HandshakeError::NotAPublicKey)?.div_ceil(3) * 4;
    if characters > MAX_STEP_BYTES {
        return Err(HandshakeError::TooLong { limit: MAX_STEP_BYTES });
    }
    if text.len() < characters {
        return Ok(None);
    }
    let der = BASE64_STANDARD.decode(text).map_err(|_| HandshakeError::NotAPublicKey)?;
    let spki = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| HandshakeError::NotAPublicKey)?;
    let parts = spki.subject_public_key.as_bytes().and_then(|key| pkcs1::RsaPublicKeyRef::from_der(key).ok());
    check_size(bits(parts.ok_or(HandshakeError::NotAPublicKey)?.modulus.as_bytes()))?;
    // Refuses an even modulus, and an exponent that is even, 1, or so large that using it is a burden.
    PublicKey::try_from(spki).map(Some).map_err(|_| HandshakeError::UnusableKey)
}

/// How long the DER sequence that begins in `head` is, with its own header.
fn der_bytes(head: &[u8; HEAD]) -> Option<usize> {
    let head = BASE64_STANDARD.decode(head).ok()?;
    let header = Header::peek(&SliceReader::new(&head).ok()?).ok()?;
    if header.tag() != Tag::Sequence {
        return None;
    }
    let bytes = (header.encoded_len().ok()? + header.length()).ok()?;
    usize::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientKey;

    #[test]
    fn a_part_of_a_key_is_told_from_the_whole_and_from_what_is_no_key() {
        let key = ClientKey::generate(1024).unwrap();
        let text = key.public_text();
        for end in 0..text.len() {
            assert!(public_key(&text[..end]).unwrap().is_none(), "{end} characters");
        }
        assert!(public_key(text).unwrap().is_some());
        let more = [text, b"AAAA"].concat();
        assert_eq!(public_key(&more).unwrap_err(), HandshakeError::NotAPublicKey);
        for no_key in ["AAAAAAAA", "MAAAAAAA", "====AAAA", "bm8ga2V5"] {
            assert_eq!(public_key(no_key.as_bytes()).unwrap_err(), HandshakeError::NotAPublicKey, "{no_key}");
        }
        let endless = BASE64_STANDARD.encode([0x30, 0x83, 0xff, 0xff, 0xff, 0]);
        assert!(matches!(public_key(endless.as_bytes()), Err(HandshakeError::TooLong { .. })));
    }
}
