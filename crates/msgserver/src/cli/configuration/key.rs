//! One entry of the table of keys.

use super::value::{Shape, Value};

/// A key of the configuration. Its flag and its environment variable are its name, spelt their way.
pub(crate) struct Key<T: 'static> {
    /// As in the file, after the name of its section and a dot.
    pub(crate) name: &'static str,
    /// What it means, in a sentence.
    pub(crate) about: &'static str,
    /// Where its value is.
    pub(crate) field: fn(&mut T) -> Box<dyn Value + '_>,
    /// The default in words, if it depends on the machine.
    pub(crate) default_words: Option<&'static str>,
}

impl<T> Key<T> {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        field: fn(&mut T) -> Box<dyn Value + '_>,
    ) -> Self {
        Self { name, about, field, default_words: None }
    }

    pub(crate) const fn by_default(mut self, words: &'static str) -> Self {
        self.default_words = Some(words);
        self
    }

    /// Its section and its name in it.
    pub(crate) fn section(&self) -> (Option<&'static str>, &'static str) {
        self.name.split_once('.').map_or((None, self.name), |(section, name)| (Some(section), name))
    }

    /// Its flag, without the dashes before it.
    pub(crate) fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// Its environment variable.
    pub(crate) fn environment(&self) -> String {
        format!("MSGSERVER_{}", self.name.replace('.', "__").to_uppercase())
    }

    /// What is in force if nobody says anything, for readers.
    pub(crate) fn default_text(&self) -> Option<String>
    where
        T: Default,
    {
        if let Some(words) = self.default_words {
            return Some(words.to_owned());
        }
        let mut values = T::default();
        let field = (self.field)(&mut values);
        let text = field.text()?;
        Some(if field.shape() == Shape::List && text.is_empty() { "none".to_owned() } else { text })
    }
}
