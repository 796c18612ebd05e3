//! Signing, as the Standard Webhooks specification has it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::WebhookError;

/// What stands before a secret, so that people and scanners of source code know it for one.
const PREFIX: &str = "whsec_";

/// The bytes of a key. Fewer can be guessed, and more are no stronger.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that an endpoint shares with the server: `whsec_` and the base64 of 24 to 64 bytes.
///
/// ```
/// use msgserver_webhooks::Secret;
///
/// let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, br#"{"test": 2432232314}"#);
/// assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
/// # Ok::<(), msgserver_webhooks::WebhookError>(())
/// ```
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// The signature of a body that is sent under an id at a time, in seconds since the start of 1970.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for Secret {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(WebhookError::Secret("begins with something else"))?;
        let key = STANDARD.decode(encoded).map_err(|_| WebhookError::Secret("has no base64 behind that"))?;
        if !BYTES.contains(&key.len()) {
            return Err(WebhookError::Secret("has fewer or more bytes"));
        }
        Ok(Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key, data and tag of RFC 4231, test case 4, whose key is long enough for a secret.
    #[test]
    fn the_hmac_is_that_of_the_rfc() {
        let key: Vec<u8> = (1..=25).collect();
        let secret: Secret = format!("whsec_{}", STANDARD.encode(key)).parse().unwrap();
        let mut mac = secret.0;
        mac.update(&[0xcd; 50]);
        let tag: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(tag, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_not base64",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &format!("whsec_{}", STANDARD.encode([7; 65])),
        ] {
            let said = text.parse::<Secret>().unwrap_err().to_string();
            assert!(said.contains("24 to 64") && (text.len() < 7 || !said.contains(text)), "{text}: {said}");
        }
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
