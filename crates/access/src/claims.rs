//! What a token says, and an application's answer.

use msgserver_message::{DeviceId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{PublishRight, TopicPattern};

/// The claims of a token, under the names that a JWT has for them. An application that is asked answers with the
/// same. What is not known is passed over; a claim that is left out gives nothing.
///
/// ```
/// use msgserver_access::Claims;
///
/// # fn read(json: &str) -> serde_json::Result<Claims> { serde_json::from_str(json) }
/// let claims = read(r#"{"sub": "ada", "topics": ["news/+"], "publish": ["to/bob"], "exp": 1893456000}"#)?;
/// assert_eq!(claims.sub.unwrap().as_str(), "ada");
/// assert_eq!(claims.exp.unwrap().to_string(), "2030-01-01T00:00:00.000Z");
/// assert!(read(r#"{"publish": ["whatever"]}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user. Without one it is the token of a publisher, who is nobody's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<UserId>,
    /// The only device that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Which topics may be followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicPattern>,
    /// To whom one may publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<PublishRight>,
    /// The token's own name, by which it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// When it was made.
    #[serde(default, with = "numeric_date", skip_serializing_if = "Option::is_none")]
    pub iat: Option<Timestamp>,
    /// From when on it counts.
    #[serde(default, with = "numeric_date", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<Timestamp>,
    /// Until when it counts.
    #[serde(default, with = "numeric_date", skip_serializing_if = "Option::is_none")]
    pub exp: Option<Timestamp>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// For which servers it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
}

/// For which servers a token is: one name, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// A time as JWTs have it: seconds since 1970, which may have a fraction.
mod numeric_date {
    use std::time::Duration;

    use msgserver_message::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_u64(at.as_millis() / 1000),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        // A number that is too large or below 0 becomes the nearest time that there is.
        let since = |seconds: f64| Duration::from_millis((seconds * 1000.0) as u64);
        Ok(seconds.map(|seconds| Timestamp::from_millis(0).saturating_add(since(seconds))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_size_can_be_read_and_shown() {
        for (json, shown) in [
            (r#"{"exp": 1.5}"#, "1970-01-01T00:00:01.500Z"),
            (r#"{"exp": -7}"#, "1970-01-01T00:00:00.000Z"),
            (r#"{"exp": 1e300}"#, "9999-12-31T23:59:59.000Z"),
        ] {
            let claims: Claims = serde_json::from_str(json).unwrap();
            assert_eq!(claims.exp.unwrap().to_string(), shown, "{json}");
        }
        assert_eq!(serde_json::from_str::<Claims>(r#"{"exp": null}"#).unwrap().exp, None);
        assert!(serde_json::from_str::<Claims>(r#"{"exp": "tomorrow"}"#).is_err());
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let json = r#"{"sub":"ada","device":"phone","topics":["a/+"],"publish":["all","to/bob"],"jti":"1","iat":5,"nbf":6,"exp":7,"iss":"me","aud":["a","b"]}"#;
        let claims: Claims = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&claims).unwrap(), json);
        assert_eq!(serde_json::to_string(&Claims::default()).unwrap(), "{}");
    }
}
