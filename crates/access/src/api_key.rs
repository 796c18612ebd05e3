//! Keys of programs that publish, look or operate.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What an API key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Publish to everybody, and take back what is not delivered yet.
    Publish,
    /// See figures, users, inboxes and receipts.
    Read,
    /// Close sessions and revoke tokens.
    Operate,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Publish, Self::Read, Self::Operate];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidApiKey;
    fn from_str(name: &str) -> Result<Self, InvalidApiKey> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        found.ok_or_else(|| InvalidApiKey::Scope(name.to_owned()))
    }
}

/// The text is no API key as a configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidApiKey {
    /// It has not three parts.
    #[error("it is not NAME:SCOPES:HASH, such as `msgserver token --api-key NAME` prints it")]
    Form,
    /// There is no such scope.
    #[error("there is no scope {0:?}; give publish, read or operate, with + between several")]
    Scope(String),
    /// The name is none.
    #[error("the name {0:?} has to be of letters, digits, - and _")]
    Name(String),
    /// The hash is none.
    #[error("the hash has to be the SHA-256 of the key in 64 hexadecimal digits")]
    Hash,
}

/// What is known of an API key: its name, what it is for, and its SHA-256. The key itself is with its holder alone.
///
/// Keys are long and random, so that a fast hash keeps them safe: there is no dictionary to try.
///
/// ```
/// use msgserver_access::{ApiKey, Scope};
///
/// let (secret, key) = ApiKey::generate("billing", &[Scope::Publish, Scope::Read])?;
/// let configured: ApiKey = key.to_string().parse()?;
/// assert!(configured.is(&secret) && configured.may(Scope::Publish) && !configured.may(Scope::Operate));
/// # Ok::<(), msgserver_access::InvalidApiKey>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    name: String,
    scopes: Vec<Scope>,
    hash: [u8; 32],
}

impl ApiKey {
    /// A fresh key, and what a configuration needs to know of it.
    ///
    /// # Errors
    /// [`InvalidApiKey`] if the name is none.
    pub fn generate(name: &str, scopes: &[Scope]) -> Result<(String, Self), InvalidApiKey> {
        let random: [u8; 32] = rand::random();
        let secret = format!("msk_{}", URL_SAFE_NO_PAD.encode(random));
        let key = Self { name: checked(name)?, scopes: scopes.to_vec(), hash: hash(&secret) };
        Ok((secret, key))
    }

    /// Its name, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a text is this key. Takes the same time for each.
    #[must_use]
    pub fn is(&self, secret: &str) -> bool {
        self.hash.ct_eq(&hash(secret)).into()
    }

    /// Whether it is for that.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn checked(name: &str) -> Result<String, InvalidApiKey> {
    let good = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    if good { Ok(name.to_owned()) } else { Err(InvalidApiKey::Name(name.to_owned())) }
}

impl FromStr for ApiKey {
    type Err = InvalidApiKey;
    fn from_str(text: &str) -> Result<Self, InvalidApiKey> {
        let mut parts = text.split(':');
        let (Some(name), Some(scopes), Some(hex), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidApiKey::Form);
        };
        let scopes = scopes.split('+').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { name: checked(name)?, scopes, hash: from_hex(hex).ok_or(InvalidApiKey::Hash)? })
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| scope.as_str()).collect();
        write!(f, "{}:{}:", self.name, scopes.join("+"))?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_every_other_program() {
        // printf %s secret | sha256sum
        let text = "a:operate:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let key: ApiKey = text.parse().unwrap();
        assert!(key.is("secret") && !key.is("Secret") && !key.is(""));
        assert_eq!(key.to_string(), text);
    }

    #[test]
    fn no_two_keys_are_one_and_a_key_is_not_in_what_is_kept() {
        let (one, kept) = ApiKey::generate("a", &Scope::ALL).unwrap();
        let (other, _) = ApiKey::generate("a", &Scope::ALL).unwrap();
        assert!(one != other && one.len() >= 47 && !kept.to_string().contains(&one));
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_would_be_right() {
        let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        for (text, word) in [
            ("secret".to_owned(), "NAME:SCOPES:HASH"),
            (format!("a:publish:{hash}:"), "NAME:SCOPES:HASH"),
            (format!("a:all:{hash}"), "publish, read or operate"),
            (format!("a::{hash}"), "publish, read or operate"),
            (format!(":read:{hash}"), "letters"),
            (format!("a b:read:{hash}"), "letters"),
            ("a:read:00".to_owned(), "64 hexadecimal"),
            (format!("a:read:{}é", &hash[2..]), "64 hexadecimal"),
        ] {
            let said = text.parse::<ApiKey>().unwrap_err().to_string();
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}
