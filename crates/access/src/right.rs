//! What may be published.

use std::fmt;
use std::str::FromStr;

use msgserver_message::{InvalidName, Target, UserId};
use serde::{Deserialize, Serialize};

use crate::{InvalidPattern, TopicPattern};

/// To whom one may publish. It is written as the place that one may publish to: `to/ada`, `to/+` for each user,
/// `all`, `t/news/+` for topics, `everything`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum PublishRight {
    /// Whatever there is: `everything`.
    Everything,
    /// Notices to all: `all`.
    Notices,
    /// One user: `to/NAME`.
    User(UserId),
    /// Each user: `to/+`.
    EachUser,
    /// Topics: `t/PATTERN`.
    Topics(TopicPattern),
}

/// The text is no right to publish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRight {
    /// It is none of the forms.
    #[error("{0:?} is no right to publish: give everything, all, to/USER, to/+ or t/TOPIC")]
    Form(String),
    /// The user cannot be.
    #[error(transparent)]
    User(#[from] InvalidName),
    /// The topics cannot be.
    #[error(transparent)]
    Topics(#[from] InvalidPattern),
}

impl PublishRight {
    /// Whether one of `rights` lets somebody publish to a target. All of several users have to be covered.
    #[must_use]
    pub fn allow(rights: &[Self], target: &Target) -> bool {
        let user = |user: &UserId| {
            rights.iter().any(|right| match right {
                Self::Everything | Self::EachUser => true,
                Self::User(one) => one == user,
                _ => false,
            })
        };
        match target {
            Target::User(one) => user(one),
            Target::Users(users) => users.iter().all(user),
            Target::Topic(topic) => rights.iter().any(|right| match right {
                Self::Everything => true,
                Self::Topics(pattern) => pattern.covers(topic.as_str()),
                _ => false,
            }),
            Target::All => rights.iter().any(|right| matches!(right, Self::Everything | Self::Notices)),
            _ => rights.contains(&Self::Everything),
        }
    }
}

impl FromStr for PublishRight {
    type Err = InvalidRight;
    fn from_str(text: &str) -> Result<Self, InvalidRight> {
        Ok(match text {
            "everything" => Self::Everything,
            "all" => Self::Notices,
            "to/+" => Self::EachUser,
            _ => match text.split_once('/') {
                Some(("to", user)) => Self::User(UserId::new(user)?),
                Some(("t", topics)) => Self::Topics(topics.parse()?),
                _ => return Err(InvalidRight::Form(text.to_owned())),
            },
        })
    }
}

impl fmt::Display for PublishRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Notices => f.write_str("all"),
            Self::EachUser => f.write_str("to/+"),
            Self::User(user) => write!(f, "to/{user}"),
            Self::Topics(pattern) => write!(f, "t/{pattern}"),
        }
    }
}

impl TryFrom<String> for PublishRight {
    type Error = InvalidRight;
    fn try_from(text: String) -> Result<Self, InvalidRight> {
        text.parse()
    }
}

impl From<PublishRight> for String {
    fn from(right: PublishRight) -> Self {
        right.to_string()
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::Topic;

    use super::*;

    fn allow(rights: &[&str], target: &Target) -> bool {
        let rights: Vec<PublishRight> = rights.iter().map(|right| right.parse().unwrap()).collect();
        for right in &rights {
            assert_eq!(right.to_string().parse::<PublishRight>().as_ref(), Ok(right));
        }
        PublishRight::allow(&rights, target)
    }

    #[test]
    fn a_right_allows_what_it_names_and_nothing_else() {
        let user = |name: &str| UserId::new(name).unwrap();
        let ada = Target::User(user("ada"));
        let both = Target::Users(vec![user("ada"), user("a/b")]);
        let news = Target::Topic(Topic::new("news/it").unwrap());
        for target in [&ada, &both, &news, &Target::All] {
            assert!(allow(&["everything"], target), "{target}");
            assert!(!allow(&[], target), "{target}");
        }
        assert!(allow(&["to/ada"], &ada) && !allow(&["to/bob", "all", "t/#"], &ada));
        assert!(allow(&["to/ada", "to/a/b"], &both) && allow(&["to/+"], &both) && !allow(&["to/ada"], &both));
        assert!(allow(&["t/news/+"], &news) && !allow(&["t/news", "to/+", "all"], &news));
        assert!(allow(&["all"], &Target::All) && !allow(&["to/+", "t/#"], &Target::All));
    }

    #[test]
    fn what_is_no_right_is_refused() {
        for text in ["", "ada", "to/", "to", "t/", "t/a+", "user/ada", "ALL", "#"] {
            assert!(text.parse::<PublishRight>().is_err(), "{text}");
        }
    }
}
