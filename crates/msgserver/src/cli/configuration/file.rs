//! The layer of the TOML file.

use std::path::Path;

use toml::{Table, Value};

use super::given::{Given, Source, nearest, one_line, unknown};
use super::{Configuration, LISTENER, Layered, Listener, keys};

pub(super) fn read(
    path: &Path,
    layered: &mut Layered<Configuration>,
    listeners: &mut Vec<Layered<Listener>>,
    faults: &mut Vec<String>,
) {
    let table = match std::fs::read_to_string(path).map_err(|fault| fault.to_string()).and_then(parse) {
        Ok(table) => table,
        Err(fault) => return faults.push(format!("config = {:?}: {fault}", path.display().to_string())),
    };
    let source = Source::File(path.to_owned());
    for (name, value) in table {
        match value {
            Value::Array(doors) if name == "listener" => {
                for (n, door) in doors.into_iter().enumerate() {
                    listeners.push(listener(n + 1, door, &source, faults));
                }
            }
            value if name == "listener" => faults.push(format!(
                "listener = {}: write each door as [[listener]] with its keys below ({source})",
                Given::Toml(value).shown(str::to_owned)
            )),
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
    keys().filter_map(|key| key.section().0).chain(["listener"])
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

fn listener(number: usize, door: Value, source: &Source, faults: &mut Vec<String>) -> Layered<Listener> {
    let mut layered = Layered::<Listener>::default();
    let place = format!("listener[{number}]");
    let Value::Table(door) = door else {
        faults.push(format!(
            "{place} = {}: write each door as [[listener]] with its keys below ({source})",
            Given::Toml(door).shown(str::to_owned)
        ));
        return layered;
    };
    let has_address = door.contains_key("address");
    for (name, value) in door {
        let given = Given::Toml(value);
        let shown_name = format!("{place}.{name}");
        match LISTENER.iter().find(|key| key.name == name) {
            Some(key) => faults.extend(layered.set(key, &shown_name, &given, source.clone()).err()),
            None => {
                let meant = nearest(&name, LISTENER.iter().map(|key| key.name));
                faults.push(unknown(&shown_name, &given, meant, source));
            }
        }
    }
    if !has_address {
        faults
            .push(format!("{place}.address: it is missing; give one such as \"127.0.0.1:3368\" ({source})"));
    }
    layered
}
