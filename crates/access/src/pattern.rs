//! Which topics are meant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use msgserver_message::MAX_NAME_BYTES;
use serde::{Deserialize, Serialize};

/// Topics, by a pattern: levels stand between `/`, a level `+` is any one level, and a last level `#` is all that
/// follows. These are the wildcards that MQTT has.
///
/// ```
/// use msgserver_access::TopicPattern;
///
/// let pattern: TopicPattern = "room/+/news".parse()?;
/// assert!(pattern.covers("room/7/news"));
/// assert!(!pattern.covers("room/7/8/news"));
/// // What is asked for may be a pattern itself.
/// assert!(pattern.covers("room/+/news"));
/// assert!(!"room/7/news".parse::<TopicPattern>()?.covers("room/+/news"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicPattern(Arc<str>);

/// The text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// It could not even be a topic.
    #[error("a pattern of topics has 1 to {MAX_NAME_BYTES} bytes and no control characters; {0:?} has not")]
    Name(String),
    /// A `+` or a `#` that is not a whole level, or a `#` with levels behind it.
    #[error(
        "{0:?} is no pattern of topics: + stands for one whole level, # for all that follow and is the last"
    )]
    Wildcard(String),
}

impl TopicPattern {
    /// Whether it covers a topic, or all topics that another pattern covers.
    #[must_use]
    pub fn covers(&self, topic: &str) -> bool {
        let mut asked = topic.split('/');
        for level in self.0.split('/') {
            if level == "#" {
                return true;
            }
            match asked.next() {
                Some("#") | None => return false,
                Some(other) if level == "+" || level == other => {}
                Some(_) => return false,
            }
        }
        asked.next().is_none()
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TopicPattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() || text.len() > MAX_NAME_BYTES || text.contains(char::is_control) {
            return Err(InvalidPattern::Name(text.chars().take(64).collect()));
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let whole = level == "+" || level == "#" && levels.peek().is_none();
            if !whole && level.contains(['+', '#']) {
                return Err(InvalidPattern::Wildcard(text.to_owned()));
            }
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for TopicPattern {
    type Error = InvalidPattern;
    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<TopicPattern> for String {
    fn from(pattern: TopicPattern) -> Self {
        pattern.as_str().to_owned()
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, topic: &str) -> bool {
        pattern.parse::<TopicPattern>().unwrap().covers(topic)
    }

    #[test]
    fn a_plus_is_one_level_and_a_hash_all_that_follow() {
        for (pattern, topic) in [
            ("a", "a"),
            ("a/+", "a/b"),
            ("+", "a"),
            ("+/b", "a/b"),
            ("a/+/c", "a//c"),
            ("#", "a/b/c"),
            ("a/#", "a/b/c"),
            ("a/+/#", "a/b/c/d"),
        ] {
            assert!(covers(pattern, topic), "{pattern} {topic}");
        }
        for (pattern, topic) in [
            ("a", "b"),
            ("a", "a/b"),
            ("a/b", "a"),
            ("+", "a/b"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("a/#", "b/a"),
            ("A", "a"),
        ] {
            assert!(!covers(pattern, topic), "{pattern} {topic}");
        }
    }

    #[test]
    fn a_pattern_covers_no_pattern_that_is_wider() {
        for (pattern, asked) in [("a/+", "a/+"), ("#", "+/b"), ("#", "#"), ("a/#", "a/+/#")] {
            assert!(covers(pattern, asked), "{pattern} {asked}");
        }
        for (pattern, asked) in [("a/b", "a/+"), ("+", "#"), ("a/+", "a/#"), ("a/+", "+/+")] {
            assert!(!covers(pattern, asked), "{pattern} {asked}");
        }
    }

    #[test]
    fn a_wildcard_is_a_whole_level() {
        for text in ["a+", "a/b+/c", "a/#/b", "#a", "a#", "++"] {
            assert!(text.parse::<TopicPattern>().is_err(), "{text}");
        }
        assert!("".parse::<TopicPattern>().is_err());
    }
}
