//! Who a message is for.

use std::fmt;

use crate::{Topic, UserId};

/// Who a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// One user, connected or not.
    User(UserId),
    /// Several users, connected or not.
    Users(Vec<UserId>),
    /// Whoever follows a topic.
    Topic(Topic),
    /// Everybody who is connected now: a notice.
    All,
}

impl From<UserId> for Target {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<Vec<UserId>> for Target {
    fn from(users: Vec<UserId>) -> Self {
        Self::Users(users)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Users(users) => write!(f, "{} users", users.len()),
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::All => f.write_str("all"),
        }
    }
}
