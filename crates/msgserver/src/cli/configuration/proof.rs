//! What clients prove themselves with: the settings, and the kinds of value that they take.

use std::path::PathBuf;
use std::time::Duration;

use msgserver::{Address, ApiKey, TokenRules};

use super::value::{HIDDEN, Shape, Value, items};

/// How access tokens are checked, and whether the application is asked.
#[derive(Debug, Clone)]
pub(crate) struct TokenSettings {
    pub(crate) secret: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) jwks_url: Option<Address>,
    /// How often the address is asked.
    pub(crate) refresh: Duration,
    pub(crate) rules: TokenRules,
    pub(crate) hook_url: Option<Address>,
    pub(crate) hook_deadline: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            secret: None,
            key_file: None,
            jwks_url: None,
            refresh: Duration::from_secs(300),
            rules: TokenRules::default(),
            hook_url: None,
            hook_deadline: Duration::from_secs(5),
        }
    }
}

impl TokenSettings {
    /// Whether there is a key to check tokens with.
    pub(crate) fn has_key(&self) -> bool {
        self.secret.is_some() || self.key_file.is_some() || self.jwks_url.is_some()
    }

    /// Whether clients have to show something.
    pub(crate) fn ask(&self) -> bool {
        self.has_key() || self.hook_url.is_some()
    }
}

/// A text, if one is wanted.
pub(crate) struct Text<'a>(pub(crate) &'a mut Option<String>);

impl Value for Text<'_> {
    fn placeholder(&self) -> &'static str {
        "TEXT"
    }

    fn expected(&self) -> String {
        "a text, or leave it out".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = Some((!text.trim().is_empty()).then(|| text.to_owned())?);
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.clone()
    }
}

/// Several texts.
pub(crate) struct Texts<'a>(pub(crate) &'a mut Vec<String>);

impl Value for Texts<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "TEXT"
    }

    fn expected(&self) -> String {
        "texts without commas".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = items(text).map(str::to_owned).collect();
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.join(","))
    }
}

/// An address of another server, if there is one.
pub(crate) struct Url<'a>(pub(crate) &'a mut Option<Address>);

impl Value for Url<'_> {
    fn placeholder(&self) -> &'static str {
        "URL"
    }

    fn expected(&self) -> String {
        "an http or https URL without a user in it, or leave it out".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = Some(text.parse().ok()?);
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }

    /// One that is refused may have been refused for the password in it.
    fn shown(&self, given: &str) -> String {
        if given.contains('@') { HIDDEN.to_owned() } else { given.to_owned() }
    }
}

/// What is known of API keys.
pub(crate) struct ApiKeyList<'a>(pub(crate) &'a mut Vec<ApiKey>);

impl Value for ApiKeyList<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "NAME:SCOPES:HASH"
    }

    fn expected(&self) -> String {
        "what `msgserver token --api-key NAME` prints: NAME:SCOPES:HASH".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = items(text).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    /// What is no such item may be the key in place of its hash.
    fn shown(&self, given: &str) -> String {
        let shown = |part: &str| {
            if part.trim().parse::<ApiKey>().is_ok() { part.to_owned() } else { HIDDEN.to_owned() }
        };
        let parts = given.split(',').filter(|part| !part.is_empty());
        parts.map(shown).collect::<Vec<_>>().join(",")
    }
}
