//! What many users can be interested in.

use crate::InvalidName;
use crate::name::{check, name};

/// How many levels a topic may have between slashes. Twice as many filters may fit it with each level, and each of
/// them is looked up when something is published.
pub const MAX_TOPIC_LEVELS: usize = 8;

/// What stands for one whole level in a filter.
const ANY: &str = "+";

name! {
    /// What many users can be interested in. A slash divides it into levels: `news/europe/sport`.
    Topic, "topic", check_topic
}
name! {
    /// Which topics somebody follows: one by its name, or those that are the same but for some levels, where the
    /// filter has a `+`.
    ///
    /// ```
    /// use msgserver_message::{Topic, TopicFilter};
    ///
    /// let filter = TopicFilter::new("news/+/sport")?;
    /// assert!(filter.fits(&Topic::new("news/europe/sport")?));
    /// assert!(!filter.fits(&Topic::new("news/europe/west/sport")?));
    /// # Ok::<(), msgserver_message::InvalidName>(())
    /// ```
    TopicFilter, "topic filter", check_filter
}

fn check_levels(kind: &'static str, name: &str) -> Result<(), InvalidName> {
    check(kind, name)?;
    let levels = name.split('/').count();
    if levels > MAX_TOPIC_LEVELS { Err(InvalidName::TooManyLevels { kind, levels }) } else { Ok(()) }
}

fn check_topic(kind: &'static str, name: &str) -> Result<(), InvalidName> {
    check_levels(kind, name)?;
    match name.char_indices().find(|(_, c)| matches!(c, '+' | '#')) {
        Some((at, character)) => Err(InvalidName::Wildcard { kind, character, at }),
        None => Ok(()),
    }
}

fn check_filter(kind: &'static str, name: &str) -> Result<(), InvalidName> {
    check_levels(kind, name)?;
    let mut begin = 0;
    for level in name.split('/') {
        let wrong = level.char_indices().find(|(_, c)| *c == '#' || *c == '+' && level != ANY);
        if let Some((at, character)) = wrong {
            return Err(InvalidName::Wildcard { kind, character, at: begin + at });
        }
        begin += level.len() + 1;
    }
    Ok(())
}

impl Topic {
    /// Every filter that fits this topic: its own name, and then those with a `+` for some of its levels.
    pub fn filters(&self) -> impl Iterator<Item = TopicFilter> {
        let levels: Vec<&str> = self.0.split('/').collect();
        (0_u32..1 << levels.len()).filter_map(move |any| {
            let level = |(at, level)| if any & (1_u32 << at) == 0 { level } else { ANY };
            let name = levels.iter().copied().enumerate().map(level).collect::<Vec<_>>().join("/");
            // A `+` may be longer than an empty level, and then a filter longer than any can be.
            TopicFilter::new(name).ok()
        })
    }
}

impl TopicFilter {
    /// Whether it may fit more than one topic.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.split('/').any(|level| level == ANY)
    }

    /// Whether a topic is among those that it names.
    #[must_use]
    pub fn fits(&self, topic: &Topic) -> bool {
        self.covers_levels(topic.as_str())
    }

    /// Whether it names every topic that another one names.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.covers_levels(other.as_str())
    }

    fn covers_levels(&self, other: &str) -> bool {
        let (mut own, mut other) = (self.0.split('/'), other.split('/'));
        loop {
            match (own.next(), other.next()) {
                (None, None) => return true,
                (Some(own), Some(other)) if own == ANY || own == other => {}
                _ => return false,
            }
        }
    }

    /// The one topic that it names, if it has no `+`.
    #[must_use]
    pub fn topic(&self) -> Option<Topic> {
        Topic::new(self.as_str()).ok()
    }
}

impl From<Topic> for TopicFilter {
    fn from(topic: Topic) -> Self {
        Self(topic.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn filter(name: &str) -> TopicFilter {
        TopicFilter::new(name).unwrap()
    }

    #[test]
    fn what_stands_for_others_is_refused_where_it_cannot() {
        for (name, at) in [("a+", 1), ("a/+b/c", 2), ("#", 0), ("a/#", 2)] {
            let refused = TopicFilter::new(name).unwrap_err();
            assert!(matches!(refused, InvalidName::Wildcard { at: found, .. } if found == at), "{name}");
        }
        assert!(Topic::new("a/+").unwrap_err().to_string().contains("'+' at byte 2"));
        for name in ["+", "+/+", "a/+/b", "/+", "a//b", "/"] {
            filter(name);
        }
        assert_eq!(Topic::new("/".repeat(8)).unwrap_err().to_string().split(' ').next_back(), Some("9"));
        assert!(Topic::new("小/甘").is_ok());
    }

    #[test]
    fn a_filter_covers_what_it_names() {
        for (wide, narrow) in [("+", "a"), ("+", "+"), ("a/+", "a/b"), ("+/+", "a/+"), ("a/+", "a/")] {
            assert!(filter(wide).covers(&filter(narrow)), "{wide} {narrow}");
        }
        for (wide, narrow) in [("a", "+"), ("a/+", "+/b"), ("+", "a/b"), ("a/b", "a")] {
            assert!(!filter(wide).covers(&filter(narrow)), "{wide} {narrow}");
        }
    }

    proptest! {
        #[test]
        fn the_filters_of_a_topic_are_those_that_fit_it(
            topic in "[ab]?(/[ab]?){0,3}", other in "[ab+]?(/[ab+]?){0,3}",
        ) {
            if let (Ok(topic), Ok(other)) = (Topic::new(topic), TopicFilter::new(other)) {
                let all: HashSet<_> = topic.filters().collect();
                prop_assert_eq!(all.contains(&other), other.fits(&topic));
                prop_assert_eq!(topic.filters().next(), Some(TopicFilter::from(topic)));
            }
        }
    }
}
