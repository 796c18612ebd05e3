//! The private part of a JSON Web Key (RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2), in the form that
//! signing takes, which is DER.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{sign, verify};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Deserialize;

use crate::{Algorithm, KeyError};

/// What only the holder of a key knows, as a JWK has it: numbers in base64url. A public key has none of it.
#[derive(Deserialize)]
pub(crate) struct PrivatePart {
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
    /// Further primes, which nobody uses.
    oth: Option<serde_json::Value>,
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// 1.2.840.10045.2.1, a key on an elliptic curve.
const ON_A_CURVE: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7.
pub(crate) const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.101.112.
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

impl PrivatePart {
    /// The key to sign with; nothing of a public key.
    ///
    /// # Errors
    /// [`KeyError::Broken`] if a part is missing, or the private part is not that of the public one.
    pub(crate) fn signs(&self, public: &Jwk, algorithm: Algorithm) -> Result<Option<EncodingKey>, KeyError> {
        let Some(d) = &self.d else { return Ok(None) };
        let key = match &public.algorithm {
            AlgorithmParameters::RSA(key) => self.rsa(&key.n, &key.e, d),
            AlgorithmParameters::EllipticCurve(key) => on_p256(&key.x, &key.y, d),
            AlgorithmParameters::OctetKeyPair(_) => ed25519(d),
            _ => None,
        };
        // The two halves are of one key if one checks what the other has signed.
        let is_one = |key: &EncodingKey| {
            let (checks, algorithm) = (DecodingKey::from_jwk(public).ok()?, algorithm.of_jwt());
            let signature = sign(&[], key, algorithm).ok()?;
            verify(&signature, &[], &checks, algorithm).ok()
        };
        let key = key.filter(|key| is_one(key) == Some(true));
        key.map(Some).ok_or(KeyError::Broken { algorithm })
    }

    /// PKCS#1 (RFC 8017, section A.1.2).
    fn rsa(&self, n: &str, e: &str, d: &str) -> Option<EncodingKey> {
        if self.oth.is_some() {
            return None;
        }
        let mut numbers = der(INTEGER, &[0]);
        for part in [
            n,
            e,
            d,
            self.p.as_deref()?,
            self.q.as_deref()?,
            self.dp.as_deref()?,
            self.dq.as_deref()?,
            self.qi.as_deref()?,
        ] {
            numbers.extend(integer(&bytes(part)?));
        }
        Some(EncodingKey::from_rsa_der(&der(SEQUENCE, &numbers)))
    }
}

/// PKCS#8 (RFC 5208) around RFC 5915.
fn on_p256(x: &str, y: &str, d: &str) -> Option<EncodingKey> {
    let [x, y, d] = [bytes(x)?, bytes(y)?, bytes(d)?];
    if [&x, &y, &d].iter().any(|number| number.len() != 32) {
        return None;
    }
    let point = der(BIT_STRING, &[&[0, 4][..], &x, &y].concat());
    let private = [der(INTEGER, &[1]), der(OCTET_STRING, &d), der(0xa1, &point)].concat();
    let kind = der(SEQUENCE, &[&ON_A_CURVE[..], &P256].concat());
    Some(EncodingKey::from_ec_der(&pkcs8(&kind, &der(SEQUENCE, &private))))
}

/// PKCS#8 around RFC 8410, section 7.
fn ed25519(d: &str) -> Option<EncodingKey> {
    let d = bytes(d).filter(|number| number.len() == 32)?;
    Some(EncodingKey::from_ed_der(&pkcs8(&der(SEQUENCE, &ED25519), &der(OCTET_STRING, &d))))
}

fn pkcs8(kind: &[u8], private: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[&der(INTEGER, &[0])[..], kind, &der(OCTET_STRING, private)].concat())
}

fn bytes(base64: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(base64).ok()
}

/// A value with its tag and its length.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match value.len() {
        short @ 0..=0x7f => out.push(short as u8),
        _ => {
            out.push(0x80 | length.len() as u8);
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(value);
    out
}

/// A number that is not negative, in as few bytes as it takes.
fn integer(number: &[u8]) -> Vec<u8> {
    let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
    let is_high = number.first().is_none_or(|byte| *byte >= 0x80);
    der(INTEGER, &[if is_high { &[0][..] } else { &[] }, number].concat())
}

#[cfg(test)]
mod tests {
    use crate::{Key, KeyError};

    /// The key of RFC 8037, appendix A.1.
    const OF_RFC_8037: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn a_private_key_signs_and_is_not_taken_from_an_address() {
        let keys = Key::read(OF_RFC_8037.as_bytes()).unwrap();
        assert!(keys[0].can_sign());
        let public = OF_RFC_8037.replace("\"d\"", "\"e\"");
        assert!(!Key::read_public(public.as_bytes()).unwrap()[0].can_sign());
        for json in [OF_RFC_8037.to_owned(), format!(r#"{{"keys":[{public},{OF_RFC_8037}]}}"#)] {
            let refused = Key::read_public(json.as_bytes());
            assert!(matches!(refused, Err(KeyError::PublicSecret)), "{refused:?}");
        }
        let other = OF_RFC_8037.replace("\"d\":\"n", "\"d\":\"m");
        assert!(matches!(Key::read(other.as_bytes()), Err(KeyError::Broken { .. })));
    }
}
