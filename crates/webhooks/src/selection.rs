//! Which steps an endpoint is told of.

use std::str::FromStr;

use msgserver_message::{Stage, Step, Target};

use crate::WebhookError;

/// A user, users whose names begin alike, a topic, topics, or notices to all.
///
/// ```
/// use msgserver_webhooks::TargetPattern;
///
/// for text in ["all", "user/ada", "user/tenant-7-*", "topic/news"] {
///     text.parse::<TargetPattern>()?;
/// }
/// assert!("ada".parse::<TargetPattern>().is_err());
/// # Ok::<(), msgserver_webhooks::WebhookError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPattern(Pattern);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    All,
    User(Name),
    Topic(Name),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Is(String),
    BeginsWith(String),
}

impl Name {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Is(this) => name == this,
            Self::BeginsWith(this) => name.starts_with(this.as_str()),
        }
    }
}

impl FromStr for TargetPattern {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let name = |name: &str| match name.strip_suffix('*') {
            Some(start) => Name::BeginsWith(start.to_owned()),
            None => Name::Is(name.to_owned()),
        };
        match text.split_once('/') {
            None if text == "all" => Ok(Self(Pattern::All)),
            Some(("user", user)) if !user.is_empty() => Ok(Self(Pattern::User(name(user)))),
            Some(("topic", topic)) if !topic.is_empty() => Ok(Self(Pattern::Topic(name(topic)))),
            _ => Err(WebhookError::Target(text.to_owned())),
        }
    }
}

impl TargetPattern {
    fn fits(&self, target: &Target) -> bool {
        match (&self.0, target) {
            (Pattern::All, Target::All) => true,
            (Pattern::User(name), Target::User(user)) => name.fits(user.as_str()),
            (Pattern::User(name), Target::Users(users)) => users.iter().any(|user| name.fits(user.as_str())),
            (Pattern::Topic(name), Target::Topic(topic)) => name.fits(topic.as_str()),
            _ => false,
        }
    }
}

/// Which steps an endpoint is told of.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) stages: Vec<Stage>,
    /// None for all.
    pub(crate) targets: Vec<TargetPattern>,
}

impl Selection {
    /// A step of one user's copy is chosen by that user, one of a message as a whole by whom it is for. Where that
    /// is not known any more, it is told: who is not interested can pass over it, and who is could not get it back.
    pub(crate) fn takes(&self, step: &Step, target: Option<&Target>) -> bool {
        let by_target = || {
            let copy = step.user.clone().map(Target::User);
            let target = copy.as_ref().or(target);
            target.is_none_or(|target| self.targets.iter().any(|pattern| pattern.fits(target)))
        };
        self.stages.contains(&step.state) && (self.targets.is_empty() || by_target())
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{Timestamp, Topic, UserId};

    use super::*;

    fn selection(targets: &[&str]) -> Selection {
        let targets = targets.iter().map(|text| text.parse().unwrap()).collect();
        Selection { stages: vec![Stage::Accepted, Stage::Acknowledged], targets }
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn stages_and_targets_choose() {
        let whole = |stage| Step::new(stage, Timestamp::from_millis(1));
        let copy = |name| Step::of(&user(name), Stage::Acknowledged, Timestamp::from_millis(1));
        let accepted = whole(Stage::Accepted);

        let all = selection(&[]);
        assert!(all.takes(&accepted, Some(&Target::All)) && all.takes(&copy("ada"), None));
        assert!(!all.takes(&whole(Stage::Expired), None), "not chosen");

        let ours = selection(&["user/our-*", "user/ada", "topic/news"]);
        for (name, is_taken) in [("our-bob", true), ("ada", true), ("adam", false), ("bob", false)] {
            assert_eq!(ours.takes(&copy(name), Some(&Target::All)), is_taken, "{name}");
            assert_eq!(ours.takes(&accepted, Some(&Target::User(user(name)))), is_taken, "{name}");
            let users = Target::Users(vec![user("carl"), user(name)]);
            assert_eq!(ours.takes(&accepted, Some(&users)), is_taken, "{name}");
        }
        assert!(!ours.takes(&accepted, Some(&Target::All)) && ours.takes(&accepted, None));
        assert!(ours.takes(&accepted, Some(&Target::Topic(Topic::new("news").unwrap()))));
        assert!(selection(&["all"]).takes(&accepted, Some(&Target::All)));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in ["", "ada", "user/", "topic/", "users/a", "ALL", "*"] {
            assert_eq!(text.parse::<TargetPattern>(), Err(WebhookError::Target(text.to_owned())));
        }
    }
}
