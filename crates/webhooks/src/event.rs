//! What an endpoint is told.

use std::borrow::Cow;

use msgserver_message::{MessageId, Step, Target, Topic, UserId};
use serde::Serialize;

/// How many users an event names; a message may be for a million.
const NAMED: usize = 100;

/// A step that a message has come to, in the fields of its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    id: MessageId,
    #[serde(flatten)]
    step: Step,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<To>,
}

/// Whom a message is for, in the words of who publishes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum To {
    User {
        user: UserId,
    },
    Users {
        users: Vec<UserId>,
        /// How many are not named.
        #[serde(skip_serializing_if = "is_zero")]
        more: usize,
    },
    Topic {
        topic: Topic,
    },
    All {
        all: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(more: &usize) -> bool {
    *more == 0
}

impl Event {
    pub(crate) fn new(id: MessageId, step: &Step, target: Option<&Target>) -> Self {
        let to = target.and_then(|target| match target {
            Target::User(user) => Some(To::User { user: user.clone() }),
            Target::Users(users) => Some(To::Users {
                users: users.iter().take(NAMED).cloned().collect(),
                more: users.len().saturating_sub(NAMED),
            }),
            Target::Topic(topic) => Some(To::Topic { topic: topic.clone() }),
            Target::All => Some(To::All { all: true }),
            _ => None,
        });
        Self { id, step: step.clone(), to }
    }

    /// About how many bytes of memory it takes while it waits.
    pub(crate) fn bytes(&self) -> usize {
        /// Of its place in the backlog and of the counters that its parts are shared by.
        const BESIDE: usize = 96;
        let Step { user, device, door, reason, .. } = &self.step;
        let text = |text: &Option<Cow<'static, str>>| text.as_deref().map_or(0, str::len);
        let name = |user: &UserId| user.as_str().len();
        let to = match &self.to {
            Some(To::User { user }) => name(user),
            Some(To::Users { users, .. }) => users.iter().map(|user| size_of::<UserId>() + name(user)).sum(),
            Some(To::Topic { topic }) => topic.as_str().len(),
            Some(To::All { .. }) | None => 0,
        };
        let names = user.as_ref().map_or(0, name) + device.as_ref().map_or(0, |device| device.as_str().len());
        size_of::<Self>() + BESIDE + names + text(door) + text(reason) + to
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{DeviceId, Stage, Timestamp};
    use serde_json::{json, to_value};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn an_event_has_the_fields_of_a_receipts_step() {
        let id = MessageId::generate();
        let step = Step {
            device: Some(DeviceId::new("phone").unwrap()),
            door: Some("frame".into()),
            ..Step::of(&user("ada"), Stage::Acknowledged, Timestamp::from_millis(1))
        };
        let mut expected = to_value(&step).unwrap();
        expected["id"] = json!(id);
        assert_eq!(to_value(Event::new(id, &step, None)).unwrap(), expected);
    }

    #[test]
    fn whom_it_is_for_is_told_and_a_crowd_is_counted() {
        let step = Step::new(Stage::Accepted, Timestamp::from_millis(1));
        let event = |target| Event::new(MessageId::generate(), &step, Some(&target));
        let to = |target| to_value(event(target)).unwrap()["to"].clone();
        assert_eq!(to(Target::User(user("ada"))), json!({"user": "ada"}));
        assert_eq!(to(Target::All), json!({"all": true}));
        assert_eq!(to(Target::Topic(Topic::new("t").unwrap())), json!({"topic": "t"}));
        assert_eq!(to(Target::Users(vec![user("a"), user("b")])), json!({"users": ["a", "b"]}));
        let crowd = Target::Users(vec![user("ada"); 150]);
        assert_eq!(to(crowd.clone())["more"], 50);
        assert_eq!(to(crowd.clone())["users"].as_array().unwrap().len(), 100);
        assert!(event(crowd).bytes() >= event(Target::All).bytes() + 1900);
    }
}
