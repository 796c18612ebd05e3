//! The layer of the TOML file.

use std::path::Path;

use toml::{Table, Value};

use super::given::{Given, Source, nearest, one_line, unknown};
use super::key::Key;
use super::{Configuration, LISTENER, Layered, Listed, Listener, WEBHOOK, Webhook, keys};

pub(super) fn read(
    path: &Path,
    layered: &mut Layered<Configuration>,
    listed: &mut Listed,
    faults: &mut Vec<String>,
) {
    let table = match std::fs::read_to_string(path).map_err(|fault| fault.to_string()).and_then(parse) {
        Ok(table) => table,
        Err(fault) => return faults.push(format!("config = {:?}: {fault}", path.display().to_string())),
    };
    let source = Source::File(path.to_owned());
    for (name, value) in table {
        match value {
            value if name == LISTENERS.name => listed.listeners = LISTENERS.read(value, &source, faults),
            value if name == WEBHOOKS.name => listed.webhooks = WEBHOOKS.read(value, &source, faults),
            Value::Table(section) if is_section(&name) => {
                for (key, value) in section {
                    set(&format!("{name}.{key}"), value, &source, layered, faults);
                }
            }
            value if is_section(&name) => faults.push(format!(
                "{name} = {}: it is a section; write [{name}] with its keys below ({source})",
                Given::Toml(value).shown(str::to_owned)
            )),
            Value::Table(_) if keys().all(|key| key.name != name) => {
                let meant = nearest(&name, sections());
                faults.push(unknown(&name, &Given::Toml(value), meant, &source));
            }
            value => set(&name, value, &source, layered, faults),
        }
    }
}

/// The place of what is no TOML is told in place of its text, which may hold a secret.
fn parse(text: String) -> Result<Table, String> {
    text.parse().map_err(|fault: toml::de::Error| {
        let before = fault.span().map_or("", |span| &text[..span.start]);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        format!("it is not TOML at line {line}, column {column}: {}", one_line(fault.message()))
    })
}

fn sections() -> impl Iterator<Item = &'static str> {
    keys().filter_map(|key| key.section().0).chain([LISTENERS.name, WEBHOOKS.name])
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

fn set(
    name: &str,
    value: Value,
    source: &Source,
    layered: &mut Layered<Configuration>,
    faults: &mut Vec<String>,
) {
    let given = Given::Toml(value);
    match keys().find(|key| key.name == name) {
        Some(key) => faults.extend(layered.set(key, name, &given, source.clone()).err()),
        None => faults.push(unknown(name, &given, nearest(name, keys().map(|key| key.name)), source)),
    }
}

/// What may stand in the file as often as wanted.
struct List<T: 'static> {
    name: &'static str,
    /// What one of them is.
    what: &'static str,
    keys: &'static [Key<T>],
    /// What each has to have, and an example of it.
    needs: &'static [(&'static str, &'static str)],
}

const LISTENERS: List<Listener> =
    List { name: "listener", what: "door", keys: LISTENER, needs: &[("address", "\"127.0.0.1:3368\"")] };

const WEBHOOKS: List<Webhook> = List {
    name: "webhook",
    what: "webhook",
    keys: WEBHOOK,
    needs: &[("url", "\"https://app.example/hooks\""), ("secrets", "[\"whsec_…\"]")],
};

impl<T: Default> List<T> {
    fn read(&self, value: Value, source: &Source, faults: &mut Vec<String>) -> Vec<Layered<T>> {
        match value {
            Value::Array(items) => {
                let numbered = (1..).zip(items);
                numbered.map(|(number, item)| self.one(number, item, source, faults)).collect()
            }
            value => {
                faults.push(self.not_a_table(self.name, value, source));
                Vec::new()
            }
        }
    }

    fn one(&self, number: usize, item: Value, source: &Source, faults: &mut Vec<String>) -> Layered<T> {
        let mut layered = Layered::<T>::default();
        let place = format!("{}[{number}]", self.name);
        let Value::Table(item) = item else {
            faults.push(self.not_a_table(&place, item, source));
            return layered;
        };
        let missing = self.needs.iter().filter(|(name, _)| !item.contains_key(*name));
        let missing = missing.map(|(name, example)| {
            format!("{place}.{name}: it is missing; give one such as {example} ({source})")
        });
        let missing: Vec<_> = missing.collect();
        for (name, value) in item {
            let given = Given::Toml(value);
            let shown_name = format!("{place}.{name}");
            match self.keys.iter().find(|key| key.name == name) {
                Some(key) => faults.extend(layered.set(key, &shown_name, &given, source.clone()).err()),
                None => {
                    let meant = nearest(&name, self.keys.iter().map(|key| key.name));
                    faults.push(unknown(&shown_name, &given, meant, source));
                }
            }
        }
        faults.extend(missing);
        layered
    }

    fn not_a_table(&self, place: &str, value: Value, source: &Source) -> String {
        let Self { name, what, .. } = self;
        let shown = Given::Toml(value).shown(str::to_owned);
        format!("{place} = {shown}: write each {what} as [[{name}]] with its keys below ({source})")
    }
}
