//! Names and ids: what is taken is within its rules, and survives its text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_message::{DeviceId, MAX_NAME_BYTES, MessageId, Topic, UserId};

fuzz_target!(|text: &str| {
    let allowed = !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.contains(char::is_control);
    assert_eq!(UserId::new(text).is_ok(), allowed);
    assert_eq!(DeviceId::new(text).is_ok(), allowed);
    assert_eq!(serde_json::from_value::<UserId>(text.into()).is_ok(), allowed);
    if let Ok(topic) = Topic::new(text) {
        assert_eq!(topic.as_str().parse(), Ok(topic));
    }
    if let Some(peer) = UserId::new(text).ok().and_then(|user| user.anonymous_peer()) {
        assert_eq!(UserId::anonymous(peer).anonymous_peer(), Some(peer));
    }
    if let Ok(id) = text.parse::<MessageId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(MessageId::from_bytes(id.to_bytes()), id);
    }
});
