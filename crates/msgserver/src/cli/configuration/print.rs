//! What is in force, as a file that says the same.

use std::fmt::Write;

use super::given::one_line;
use super::key::Key;
use super::keys::{LISTENER, SECTIONS, WEBHOOK};
use super::value::Shape;
use super::{InForce, Layered};

impl InForce {
    /// What is in force as TOML, each line with where its value came from; secrets are hidden.
    pub(crate) fn print(&mut self) -> String {
        let mut out = String::new();
        let mut section = None;
        for (n, group) in SECTIONS.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            // The groups at the top have no header of their own in TOML.
            let header = group.keys.first().and_then(|key| key.section().0);
            match header {
                Some(name) if section != header => _ = writeln!(out, "[{name}]"),
                _ => _ = writeln!(out, "# {}", group.title),
            }
            section = header;
            for key in group.keys {
                line(&mut out, key, &mut self.layered);
            }
        }
        list(&mut out, "listener", LISTENER, &mut self.listed.listeners);
        list(&mut out, "webhook", WEBHOOK, &mut self.listed.webhooks);
        out
    }
}

fn list<T>(out: &mut String, name: &str, keys: &[Key<T>], listed: &mut [Layered<T>]) {
    for one in listed {
        let _ = writeln!(out, "\n[[{name}]]");
        keys.iter().for_each(|key| line(out, key, one));
    }
}

fn line<T>(out: &mut String, key: &Key<T>, layered: &mut Layered<T>) {
    let source = layered.sources.get(key.name).map_or_else(|| "default".to_owned(), ToString::to_string);
    let field = (key.field)(&mut layered.values);
    let (_, name) = key.section();
    let _ = match field.text() {
        None => writeln!(out, "# {name} is not set  # {source}"),
        Some(text) => {
            let value = match field.shape() {
                Shape::Text => quoted(&field.shown(&text)),
                Shape::Number | Shape::Switch => text,
                Shape::List => {
                    let text = field.shown(&text);
                    let items: Vec<_> = text.split(',').filter(|item| !item.is_empty()).map(quoted).collect();
                    format!("[{}]", items.join(", "))
                }
            };
            writeln!(out, "{name} = {value}  # {}", one_line(&source))
        }
    };
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
