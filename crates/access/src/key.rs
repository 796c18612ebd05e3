//! One key, which tokens are checked and perhaps signed with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};

use crate::private_jwk::{P256, PrivatePart};
use crate::{Algorithm, Claims, Denied, KeyError};

/// The shortest secret, in bytes: as long as what HMAC-SHA256 gives (RFC 7518, 3.2). A shorter one can be guessed by
/// whoever has seen one token.
pub const MIN_SECRET_BYTES: usize = 32;

/// The shortest RSA key, in bits (RFC 7518, 3.3).
pub const MIN_RSA_BITS: usize = 2048;

/// A key that tokens are checked with; one that is private or a secret signs them as well.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    checks: DecodingKey,
    signs: Option<EncodingKey>,
}

impl Key {
    /// A secret for HS256.
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`] below [`MIN_SECRET_BYTES`].
    pub fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret { bytes: secret.len() });
        }
        Ok(Self {
            kid: None,
            algorithm: Algorithm::Hs256,
            checks: DecodingKey::from_secret(secret),
            signs: Some(EncodingKey::from_secret(secret)),
        })
    }

    /// One block of PEM with a label: `PUBLIC KEY`, `PRIVATE KEY` (PKCS#8), `RSA PUBLIC KEY` or `RSA PRIVATE KEY`.
    pub(crate) fn pem(label: &str, block: &[u8]) -> Result<Self, KeyError> {
        let other = || KeyError::Pem { label: label.to_owned() };
        match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                let (algorithm, checks) = DecodingKey::from_ec_pem(block)
                    .map(|key| (Algorithm::Es256, key))
                    .or_else(|_| DecodingKey::from_ed_pem(block).map(|key| (Algorithm::EdDsa, key)))
                    .or_else(|_| DecodingKey::from_rsa_pem(block).map(|key| (Algorithm::Rs256, key)))
                    .map_err(|_| other())?;
                if algorithm == Algorithm::Es256 && !names_p256(block) {
                    return Err(other());
                }
                Self::checked(None, algorithm, Jwk::from_decoding_key(&checks, None).map_err(|_| other())?)
            }
            "PRIVATE KEY" | "RSA PRIVATE KEY" => {
                let (algorithm, signs) = EncodingKey::from_ec_pem(block)
                    .map(|key| (Algorithm::Es256, key))
                    .or_else(|_| EncodingKey::from_ed_pem(block).map(|key| (Algorithm::EdDsa, key)))
                    .or_else(|_| EncodingKey::from_rsa_pem(block).map(|key| (Algorithm::Rs256, key)))
                    .map_err(|_| other())?;
                let public = Jwk::from_encoding_key(&signs, algorithm.of_jwt()).map_err(|_| other())?;
                Ok(Self { signs: Some(signs), ..Self::checked(None, algorithm, public)? })
            }
            _ => Err(other()),
        }
    }

    /// A JSON Web Key; nothing if it is none that tokens are signed with here, such as one for encryption.
    pub(crate) fn jwk(jwk: Jwk, private: &PrivatePart) -> Option<Result<Self, KeyError>> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::Rs256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::Es256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDsa,
            AlgorithmParameters::OctetKey(_) => Algorithm::Hs256,
            _ => return None,
        };
        let common = &jwk.common;
        let says_so = |named: &KeyAlgorithm| named.to_string().eq_ignore_ascii_case(algorithm.as_str());
        let for_that = common.key_algorithm.as_ref().is_none_or(says_so)
            && common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| {
                all.iter().any(|one| matches!(one, KeyOperations::Verify | KeyOperations::Sign))
            });
        let kid = common.key_id.clone();
        for_that.then(|| {
            let signs = private.signs(&jwk, algorithm);
            let key = Self::checked(kid, algorithm, jwk)?;
            Ok(Self { signs: signs?.or(key.signs), ..key })
        })
    }

    /// A public key, or a secret, if it is one that can be relied on.
    fn checked(kid: Option<String>, algorithm: Algorithm, public: Jwk) -> Result<Self, KeyError> {
        let checks = DecodingKey::from_jwk(&public).map_err(|_| KeyError::Broken { algorithm })?;
        match &public.algorithm {
            AlgorithmParameters::RSA(key) => {
                // Four characters of base64 are three bytes.
                let bits = key.n.trim_end_matches('=').len() * 6 / 8 * 8;
                if bits < MIN_RSA_BITS {
                    return Err(KeyError::ShortRsa { bits });
                }
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve != EllipticCurve::P256 => {
                return Err(KeyError::Broken { algorithm });
            }
            AlgorithmParameters::OctetKey(_) => {
                let bytes = checks.try_get_as_bytes().map_err(|_| KeyError::Broken { algorithm })?;
                return Ok(Self { kid, ..Self::secret(bytes)? });
            }
            AlgorithmParameters::EllipticCurve(_) | AlgorithmParameters::OctetKeyPair(_) => {
                let expected = if algorithm == Algorithm::Es256 { 65 } else { 32 };
                if checks.try_get_as_bytes().map_or(0, <[u8]>::len) != expected {
                    return Err(KeyError::Broken { algorithm });
                }
            }
            _ => return Err(KeyError::Broken { algorithm }),
        }
        Ok(Self { kid, algorithm, checks, signs: None })
    }

    /// Its name among several.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it can sign, and so has to stay secret.
    #[must_use]
    pub const fn can_sign(&self) -> bool {
        self.signs.is_some()
    }

    /// A token that says what the claims say.
    ///
    /// # Errors
    /// [`KeyError::CannotSign`] of a public key.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let signs = self.signs.as_ref().ok_or(KeyError::CannotSign)?;
        let mut header = Header::new(self.algorithm.of_jwt());
        header.kid.clone_from(&self.kid);
        jsonwebtoken::encode(&header, claims, signs).map_err(|_| KeyError::CannotSign)
    }

    /// The claims of a token that this key has signed and whose time it is.
    pub(crate) fn open(&self, token: &str, rules: &Validation) -> Result<Claims, Denied> {
        let mut rules = rules.clone();
        rules.algorithms = vec![self.algorithm.of_jwt()];
        let opened = jsonwebtoken::decode::<Claims>(token, &self.checks, &rules);
        opened.map(|token| token.claims).map_err(|fault| match fault.kind() {
            ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => Denied::NotAToken,
            ErrorKind::ExpiredSignature => Denied::Expired,
            ErrorKind::ImmatureSignature => Denied::NotYet,
            ErrorKind::InvalidAudience => Denied::Audience,
            ErrorKind::InvalidIssuer => Denied::Issuer,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Denied::Audience,
            ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Denied::Issuer,
            ErrorKind::MissingRequiredClaim(claim) => Denied::Claims(format!("{claim} is missing")),
            ErrorKind::InvalidClaimFormat(claim) => Denied::Claims(format!("{claim} is no time")),
            ErrorKind::Json(fault) => Denied::Claims(fault.to_string()),
            // Whatever else goes wrong has to do with the key and the signature.
            _ => Denied::Signature,
        })
    }
}

/// Whether a block of PEM has the curve P-256 in it: points of other curves can be as long.
fn names_p256(block: &[u8]) -> bool {
    let body = block.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"-----"));
    let body: Vec<u8> = body.flatten().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(body).is_ok_and(|der| der.windows(P256.len()).any(|bytes| bytes == P256))
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.can_sign() { "signs" } else { "checks" };
        write!(f, "Key({} {:?}, {kind})", self.algorithm, self.kid)
    }
}
