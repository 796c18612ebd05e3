//! The API keys that count now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::kept::{Kept, LOOK_EVERY};
use crate::key_text::text_of;
use crate::{ApiKey, KeyError};

/// API keys that are fixed, and those of a file, which is looked at every 2 seconds. A file that cannot be read, or has
/// something else in it, leaves in force the keys that it had before.
#[derive(Default)]
pub struct ApiKeys {
    fixed: Vec<Arc<ApiKey>>,
    file: Option<(PathBuf, Kept<Arc<ApiKey>>)>,
}

impl ApiKeys {
    /// Takes the keys of a file too: one a line, as [`ApiKey`] reads it. Empty lines and those that begin with `#` are
    /// passed over.
    ///
    /// # Errors
    /// [`KeyError`] names the file, and the line that is none, if one is to blame.
    pub fn with_file(self, path: PathBuf) -> Result<Self, KeyError> {
        let keys = read(&path)?;
        Ok(Self { file: Some((path, Kept::new("the API keys", keys))), ..self })
    }

    /// Whether there can be no key. A file has some, or will have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.file.is_none()
    }

    /// The key that a text is.
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<Arc<ApiKey>> {
        let of_file = self.file.as_ref().map(|(_, kept)| kept.now());
        let all = self.fixed.iter().chain(of_file.iter().flat_map(|keys| keys.iter()));
        // All are looked at, so that the time tells nothing.
        all.fold(None, |found, key| if key.is(secret) { Some(Arc::clone(key)) } else { found })
    }

    /// Keeps the keys of the file fresh, for as long as anybody else holds them.
    pub async fn keep(self: Arc<Self>) {
        let keys = Arc::downgrade(&self);
        let Some((path, _)) = &self.file else { return };
        let path = path.clone();
        drop(self);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let of = path.clone();
            let came = tokio::task::spawn_blocking(move || read(&of)).await;
            let Some(keys) = keys.upgrade() else { return };
            if let Some((_, kept)) = &keys.file {
                kept.take(came.unwrap_or(Err(KeyError::None)));
            }
        }
    }
}

impl From<Vec<ApiKey>> for ApiKeys {
    fn from(keys: Vec<ApiKey>) -> Self {
        Self { fixed: keys.into_iter().map(Arc::new).collect(), file: None }
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.file.as_ref().map(|(path, _)| path);
        f.debug_struct("ApiKeys").field("fixed", &self.fixed).field("file", &path).finish()
    }
}

fn read(path: &Path) -> Result<Vec<Arc<ApiKey>>, KeyError> {
    let wrong = |fault: String| KeyError::Unreadable { place: path.display().to_string(), fault };
    let text = String::from_utf8(text_of(path)?).map_err(|fault| wrong(fault.to_string()))?;
    let lines = text.lines().map(str::trim).enumerate();
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(at, line)| {
        // The line is not repeated: it may be a key in the clear, put there by mistake.
        line.parse().map(Arc::new).map_err(|fault| wrong(format!("line {}: {fault}", at + 1)))
    });
    let keys: Vec<Arc<ApiKey>> = keys.collect::<Result<_, _>>()?;
    // A file that is just being written is empty for a moment.
    if keys.is_empty() { Err(wrong("there is no key in it".to_owned())) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn a_file_has_a_key_a_line_and_what_is_none_is_named_without_being_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let (one, first) = ApiKey::generate("one", &[Scope::Read]).unwrap();
        let (two, second) = ApiKey::generate("two", &[Scope::Publish]).unwrap();
        std::fs::write(&path, format!("# of two programs\n\n{first}\n  {second}\r\n")).unwrap();
        let (fixed, kept) = ApiKey::generate("fixed", &Scope::ALL).unwrap();
        let keys = ApiKeys::from(vec![kept]).with_file(path.clone()).unwrap();
        let named = [&one, &two, &fixed].map(|secret| keys.find(secret).unwrap().name().to_owned());
        assert_eq!(named, ["one", "two", "fixed"]);
        assert!(keys.find("").is_none() && keys.find(&first.to_string()).is_none() && !keys.is_empty());

        for (text, word) in [(format!("{first}\n{one}"), "line 2: "), ("#\n".to_owned(), "no key")] {
            std::fs::write(&path, text).unwrap();
            let fault = ApiKeys::default().with_file(path.clone()).unwrap_err().to_string();
            assert!(fault.contains(word) && !fault.contains(&one), "{fault}");
        }
    }
}
