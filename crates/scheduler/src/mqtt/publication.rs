//! From a PUBLISH packet to a publication.

use std::time::Duration;

use msgserver_message::{Content, Properties, Target, Topic, UserId};
use msgserver_mqtt::{Publish, Qos, Reason};
use msgserver_protocol::{NOTICES, TOPIC_PREFIX};

use super::Refused;
use crate::Publication;

/// What stands before the name of a user in a topic to publish to.
const USER_PREFIX: &str = "to/";

/// The type of a payload that is a content as it is; every other payload is a text.
const JSON: &str = "application/json";

/// What a client publishes.
pub(crate) fn publication(publish: &Publish) -> Result<Publication, Refused> {
    let text = std::str::from_utf8(&publish.payload)
        .map_err(|fault| Refused::new(Reason::PAYLOAD, format_args!("a payload has to be UTF-8: {fault}")))?;
    let content = match &publish.content_type {
        Some(what) if what == JSON => {
            Content::from_json(text).map_err(|fault| Refused::new(Reason::PAYLOAD, fault))?
        }
        _ => Content::text(text),
    };
    let target = target(&publish.topic)?;
    if publish.retain && !matches!(target, Target::Topic(_)) {
        let text = "only what is published to t/TOPIC is retained";
        return Err(Refused::new(Reason::IMPLEMENTATION, text));
    }
    let ttl = publish.expiry.map(|seconds| Duration::from_secs(seconds.into()));
    let properties = Properties {
        at_most_once: publish.qos == Qos::AtMostOnce,
        is_text: publish.is_text,
        content_type: publish.content_type.clone(),
        response_topic: publish.response_topic.clone(),
        correlation: publish.correlation.as_ref().map(|bytes| bytes.to_vec()),
        user: publish.user.clone(),
    };
    Ok(Publication { ttl, properties: Some(Box::new(properties)), ..Publication::new(target, content) })
}

fn target(topic: &str) -> Result<Target, Refused> {
    let wrong = |fault: &dyn std::fmt::Display| Refused::new(Reason::TOPIC_NAME, fault);
    if topic == NOTICES {
        Ok(Target::All)
    } else if let Some(user) = topic.strip_prefix(USER_PREFIX) {
        UserId::new(user).map(Target::User).map_err(|fault| wrong(&fault))
    } else if let Some(topic) = topic.strip_prefix(TOPIC_PREFIX) {
        Topic::new(topic).map(Target::Topic).map_err(|fault| wrong(&fault))
    } else {
        Err(wrong(&"one may publish to to/USER, to t/TOPIC, and to all"))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use msgserver_mqtt::{Packet, Version};

    use super::*;

    fn published(topic: &str, content_type: Option<&str>, payload: &[u8]) -> Result<Publication, Refused> {
        let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
        let mut properties = vec![2, 0, 0, 0, 9];
        properties.extend(content_type.map(|what| [&[3], &text(what)[..]].concat()).unwrap_or_default());
        let body = [&text(topic), &[properties.len() as u8][..], &properties, payload].concat();
        let mut bytes = BytesMut::from(&[&[0x30, body.len() as u8], &body[..]].concat()[..]);
        let Ok(Some(Packet::Publish(publish))) = Packet::next(&mut bytes, Version::V5, 1024) else {
            panic!()
        };
        publication(&publish)
    }

    #[test]
    fn topics_name_users_topics_and_everybody() {
        for (topic, target) in [
            ("all", Target::All),
            ("to/ada", Target::User(UserId::new("ada").unwrap())),
            ("to/a/b", Target::User(UserId::new("a/b").unwrap())),
            ("t/a/b", Target::Topic(Topic::new("a/b").unwrap())),
        ] {
            let publication = published(topic, None, b"1").unwrap();
            assert_eq!(publication.target, target);
            assert_eq!(
                (publication.content.as_json(), publication.ttl),
                ("\"1\"", Some(Duration::from_secs(9)))
            );
        }
        for topic in ["inbox", "to/", "t/", "T/a", "news"] {
            assert_eq!(published(topic, None, b"1").unwrap_err().reason, Reason::TOPIC_NAME, "{topic}");
        }
    }

    #[test]
    fn a_payload_is_a_text_unless_it_says_that_it_is_json() {
        assert_eq!(published("all", Some(JSON), b"{\"a\":1}").unwrap().content.as_json(), "{\"a\":1}");
        assert_eq!(published("all", Some("text/plain"), b"{").unwrap().content.as_json(), "\"{\"");
        for (what, payload) in [(None, &b"\xff"[..]), (Some(JSON), b"{")] {
            assert_eq!(published("all", what, payload).unwrap_err().reason, Reason::PAYLOAD);
        }
    }
}
