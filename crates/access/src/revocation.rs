//! What was taken back.

use std::time::Duration;

use msgserver_message::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Takes tokens back, before their time is over.
///
/// As JSON it is one of `{"jti": "…", "expires_at"?: time}`, `{"user": "ada", "before"?: time}` and
/// `{"before": time}`; without `before` it is all that the user was given until now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
#[non_exhaustive]
pub enum Revocation {
    /// One token.
    Token {
        /// Its `jti`.
        jti: String,
        /// When it would end anyway: the revocation is forgotten then.
        expires_at: Option<Timestamp>,
    },
    /// All tokens of a user that were made until then.
    User {
        /// Whose.
        user: UserId,
        /// Until when.
        before: Timestamp,
    },
    /// All tokens that were made until then.
    All {
        /// Until when.
        before: Timestamp,
    },
}

/// What a revocation cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRevocation {
    /// It says nothing, or too much.
    #[error(
        "a revocation takes exactly one of {{\"jti\", \"expires_at\"?}}, {{\"user\", \"before\"?}} and {{\"before\"}}"
    )]
    Form,
    /// It would lock out who is given a token in the meantime.
    #[error("before = {0} lies in the future; give a time until now")]
    Future(Timestamp),
    /// The name of a token is longer than anybody needs.
    #[error("a jti may be {MAX_JTI_BYTES} bytes long, this one has {0}")]
    LongJti(usize),
}

/// The longest name of a token that can be revoked by it.
pub const MAX_JTI_BYTES: usize = 256;

/// Clocks of two machines differ by less.
const SLACK: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Timestamp>,
}

impl TryFrom<Form> for Revocation {
    type Error = InvalidRevocation;
    fn try_from(form: Form) -> Result<Self, InvalidRevocation> {
        let now = Timestamp::now();
        if let Some(before) = form.before
            && before > now.saturating_add(SLACK)
        {
            return Err(InvalidRevocation::Future(before));
        }
        match form {
            Form { jti: Some(jti), expires_at, user: None, before: None } => {
                if jti.len() > MAX_JTI_BYTES {
                    return Err(InvalidRevocation::LongJti(jti.len()));
                }
                Ok(Self::Token { jti, expires_at })
            }
            Form { jti: None, expires_at: None, user: Some(user), before } => {
                Ok(Self::User { user, before: before.unwrap_or(now) })
            }
            Form { jti: None, expires_at: None, user: None, before: Some(before) } => {
                Ok(Self::All { before })
            }
            _ => Err(InvalidRevocation::Form),
        }
    }
}

impl From<Revocation> for Form {
    fn from(revocation: Revocation) -> Self {
        match revocation {
            Revocation::Token { jti, expires_at } => Self { jti: Some(jti), expires_at, ..Self::default() },
            Revocation::User { user, before } => {
                Self { user: Some(user), before: Some(before), ..Self::default() }
            }
            Revocation::All { before } => Self { before: Some(before), ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_of_a_token_or_a_user_or_a_time() {
        for json in [
            r#"{"jti":"1"}"#,
            r#"{"jti":"1","expires_at":"2026-01-31T12:00:00.000Z"}"#,
            r#"{"user":"ada","before":"2026-01-31T12:00:00.000Z"}"#,
            r#"{"before":"2026-01-31T12:00:00.000Z"}"#,
        ] {
            let read: Revocation = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        let read: Revocation = serde_json::from_str(r#"{"user":"ada"}"#).unwrap();
        assert!(matches!(read, Revocation::User { before, .. } if before <= Timestamp::now()));
        for (json, word) in [
            ("{}", "exactly one"),
            (r#"{"jti":"1","user":"ada"}"#, "exactly one"),
            (r#"{"user":"ada","expires_at":"2026-01-31T12:00:00Z"}"#, "exactly one"),
            (r#"{"before":"9000-01-31T12:00:00Z"}"#, "future"),
            (r#"{"token":"1"}"#, "token"),
        ] {
            let said = serde_json::from_str::<Revocation>(json).unwrap_err().to_string();
            assert!(said.contains(word), "{json}: {said}");
        }
    }
}
