//! Values as they were given, and by whom.

use std::fmt;
use std::path::PathBuf;

use super::value::{HIDDEN, Shape};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", one_line(&path.to_string_lossy())),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value before it is looked at.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Text(String),
    Toml(toml::Value),
}

/// The longest value that a fault repeats, in characters.
const LONGEST: usize = 100;

impl Given {
    /// The value as text, if it has the shape that it has to have.
    pub(crate) fn text(&self, shape: Shape) -> Option<String> {
        let value = match self {
            Self::Text(text) => return Some(text.clone()),
            Self::Toml(value) => value,
        };
        match (shape, value) {
            (Shape::Text, toml::Value::String(text)) => Some(text.clone()),
            (Shape::Number, toml::Value::Integer(number)) => Some(number.to_string()),
            (Shape::Switch, toml::Value::Boolean(on)) => Some(on.to_string()),
            (Shape::List, toml::Value::Array(items)) => {
                let items: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
                items.map(|items| items.join(","))
            }
            _ => None,
        }
    }

    /// The value in one line, not too long, after `hide` has taken out what is secret.
    pub(crate) fn shown(&self, hide: impl Fn(&str) -> String) -> String {
        let whole = match self {
            Self::Text(text) | Self::Toml(toml::Value::String(text)) => {
                let hidden = hide(text);
                if hidden == HIDDEN { hidden } else { format!("{hidden:?}") }
            }
            // What is inside has names of its own, any of which may be a secret's.
            Self::Toml(toml::Value::Table(_)) => "{…}".to_owned(),
            Self::Toml(toml::Value::Array(items)) if items.iter().any(has_parts) => "[…]".to_owned(),
            Self::Toml(value) => one_line(&hide(&value.to_string())),
        };
        match whole.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &whole[..end]),
            None => whole,
        }
    }
}

fn has_parts(value: &toml::Value) -> bool {
    value.is_table() || value.is_array()
}

pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// What is said of a name that is none. Its value is not shown if it may be a secret under a slip of the pen.
pub(crate) fn unknown(name: &str, given: &Given, meant: Option<&str>, source: &Source) -> String {
    let secret = [name, meant.unwrap_or_default()].into_iter().any(may_be_secret);
    let value = given.shown(|text| {
        let url_with_password = text.contains("://") && text.contains('@');
        if secret || url_with_password { HIDDEN.to_owned() } else { text.to_owned() }
    });
    let advice = meant.map_or_else(
        || "`msgserver serve --help` lists all".to_owned(),
        |meant| format!("did you mean {meant}?"),
    );
    format!("{} = {value}: there is no such key; {advice} ({source})", one_line(name))
}

fn may_be_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["secret", "key", "token", "pass", "auth"].iter().any(|word| name.contains(word))
}

/// How alike two names have to be, from 0 to 1, for one to be meant by the other.
const ALIKE: f64 = 0.6;

/// The known name that may be meant by an unknown one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A key at the top may belong into a section, or stand in the wrong one.
    let likeness = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(name, known);
        whole.max(0.95 * strsim::normalized_damerau_levenshtein(bare(name), bare(known)))
    };
    let best = known.map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, known)| known)
}

/// A name without its section.
fn bare(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, bare)| bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_across_sections() {
        let known = ["listen", "store", "network.deny", "limits.outbox_bytes", "delivery.resend_times"];
        let nearest = |name| nearest(name, known.into_iter());
        assert_eq!(nearest("lissten"), Some("listen"));
        assert_eq!(nearest("resend_times"), Some("delivery.resend_times"));
        assert_eq!(nearest("limits.resend_time"), Some("delivery.resend_times"));
        assert_eq!(nearest("limit.outbox_byte"), Some("limits.outbox_bytes"));
        assert_eq!(nearest("colour"), None);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let source = Source::Flag("x".to_owned());
        let text = |text: &str| Given::Text(text.to_owned());
        for (name, given, meant) in [
            ("api_kye", text("s3cret"), Some("api_key")),
            ("password", text("s3cret"), None),
            ("stroe", text("redis://:s3cret@db"), Some("store")),
            ("other", Given::Toml(toml::toml! { password = "s3cret" }.into()), None),
            ("pass", Given::Toml(vec!["s3cret"].into()), None),
        ] {
            let line = unknown(name, &given, meant, &source);
            assert!(!line.contains("s3cret"), "{line}");
        }
        assert!(unknown("lissten", &text("here"), Some("listen"), &source).contains("\"here\""));
    }

    #[test]
    fn a_fault_is_one_line_and_not_long() {
        let shown = Given::Text("a\nb".repeat(1000)).shown(str::to_owned);
        assert!(shown.starts_with("\"a\\nb") && shown.chars().count() == LONGEST + 1);
        assert!(!Given::Toml(vec!["a\nb", "c"].into()).shown(str::to_owned).contains('\n'));
    }
}
