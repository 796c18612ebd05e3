//! `docs/configuration.md` says what the table says.

use std::fmt::Write;
use std::path::Path;

use super::key::Key;
use super::keys::{LISTENER, SECTIONS, WEBHOOK};
use super::value::Shape;
use super::{Layered, Listed, file};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    std::fs::read_to_string(path).unwrap()
}

fn row<T: Default>(key: &Key<T>, listed: bool) -> String {
    let mut values = T::default();
    let field = (key.field)(&mut values);
    let default = match (key.default_words, key.default_text()) {
        (Some(words), _) => words.to_owned(),
        (None, Some(text)) => format!("`{text}`"),
        (None, None) => "not set".to_owned(),
    };
    let expected = field.expected().replace('|', "\\|");
    let about = key.about.replace('|', "\\|");
    if listed {
        return format!("| `{}` | {default} | {about} | {expected} |\n", key.name);
    }
    let value =
        if field.shape() == Shape::Switch { String::new() } else { format!(" {}", field.placeholder()) };
    let spelt = format!("`--{}{value}`<br>`{}`", key.flag(), key.environment());
    format!("| `{}` | {spelt} | {default} | {about} | {expected} |\n", key.name)
}

fn tables() -> Vec<String> {
    let mut tables: Vec<String> = SECTIONS
        .iter()
        .map(|section| {
            let mut table = format!("### {}\n\n", section.title);
            table
                .push_str("| key | flag, environment | default | meaning | value |\n|---|---|---|---|---|\n");
            section.keys.iter().for_each(|key| table.push_str(&row(key, false)));
            table
        })
        .collect();
    tables.extend([list(LISTENER), list(WEBHOOK)]);
    tables
}

fn list<T: Default>(keys: &[Key<T>]) -> String {
    let mut table = "| key | default | meaning | value |\n|---|---|---|---|\n".to_owned();
    keys.iter().for_each(|key| table.push_str(&row(key, true)));
    table
}

#[test]
fn each_key_stands_in_the_document_as_in_the_table() {
    let document = document();
    let mut missing = String::new();
    for table in tables() {
        if !document.contains(&table) {
            let _ = write!(missing, "\n{table}");
        }
    }
    assert!(missing.is_empty(), "docs/configuration.md needs these tables as they are here:\n{missing}");
    let rows = tables().concat().matches("\n| `").count();
    assert_eq!(document.matches("\n| `").count(), rows, "there is a row of a key that is no more");
}

#[test]
fn the_example_file_of_the_document_is_right() {
    let document = document();
    let (_, example) = document.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("example.toml");
    std::fs::write(&path, example).unwrap();
    let (mut layered, mut listed, mut faults) = (Layered::default(), Listed::default(), Vec::new());
    file::read(&path, &mut layered, &mut listed, &mut faults);
    listed.put_into(&mut layered.values);
    super::combination::check(&layered.values, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(
        !listed.listeners.is_empty() && !listed.webhooks.is_empty() && layered.sources.len() > 5,
        "it shows too little"
    );
}

#[test]
fn no_two_keys_have_one_spelling() {
    let mut flags: Vec<_> = super::keys().map(Key::flag).chain(["config".to_owned()]).collect();
    flags.sort_unstable();
    let before = flags.len();
    flags.dedup();
    assert_eq!(flags.len(), before);
}
