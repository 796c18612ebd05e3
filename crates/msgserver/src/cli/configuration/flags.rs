//! The layer of the flags, made from the table.

use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::given::{Given, Source};
use super::key::Key;
use super::keys::SECTIONS;
use super::value::Shape;
use super::{Configuration, Layered, keys};

/// The flags of `serve`.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    /// The file.
    pub(crate) config: Option<PathBuf>,
    given: Vec<(&'static str, String)>,
}

impl Flags {
    /// Nothing but a file.
    pub(crate) const fn of_file(config: Option<PathBuf>) -> Self {
        Self { config, given: Vec::new() }
    }

    pub(super) fn read(&self, layered: &mut Layered<Configuration>, faults: &mut Vec<String>) {
        for key in keys() {
            let Some((_, text)) = self.given.iter().find(|(name, _)| *name == key.name) else { continue };
            let given = Given::Text(text.clone());
            faults.extend(layered.set(key, key.name, &given, Source::Flag(key.flag())).err());
        }
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let text = |key: &Key<Configuration>| {
            let texts: Vec<&String> = matches.get_many(key.name)?.collect();
            Some((key.name, texts.into_iter().map(String::as_str).collect::<Vec<_>>().join(",")))
        };
        Ok(Self { config: matches.get_one("config").cloned(), given: keys().filter_map(text).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .env("MSGSERVER_CONFIG")
            .help("A TOML file with any of these keys");
        let flags = SECTIONS
            .iter()
            .flat_map(|section| section.keys.iter().map(|key| flag(key).help_heading(section.title)));
        command.arg(config).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(key: &'static Key<Configuration>) -> Arg {
    let mut values = Configuration::default();
    let field = (key.field)(&mut values);
    let default = key.default_text().filter(|_| field.shape() != Shape::Switch);
    let default = default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
    let arg = Arg::new(key.name)
        .long(key.flag())
        .value_name(field.placeholder())
        .value_parser(Suggested(field.choices()))
        .help(format!("{}{default}", key.about))
        .hide_short_help(key.section().0.is_some());
    match (field.shape(), field.placeholder()) {
        // `--encrypt` alone switches on; `--encrypt=false` takes back what the file says.
        (Shape::Switch, _) => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").hide_possible_values(true)
        }
        (Shape::List, _) => arg.action(ArgAction::Append),
        (_, "DIR") => arg.value_hint(ValueHint::DirPath),
        (_, "PATH") => arg.value_hint(ValueHint::FilePath),
        _ => arg,
    }
}

/// Takes every text, so that all faults are told together later; names the right ones to help and
/// completions.
#[derive(Clone)]
struct Suggested(Vec<&'static str>);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Self::Value, Error> {
        clap::builder::StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        if self.0.is_empty() {
            return None;
        }
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}
