//! What a README has its readers type.

use crate::support::blocks;

/// A README, in one of its languages.
pub struct Readme(&'static str);

impl Readme {
    /// The one of this name.
    pub const fn of(name: &'static str) -> Self {
        Self(name)
    }

    /// The fenced blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        blocks(self.0, language)
    }

    /// The lines for a shell, each of which is one command, without their comments.
    pub fn commands(&self) -> Vec<String> {
        let lines = self.blocks("sh").concat();
        lines.lines().map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
    }

    /// The command that is this, or the only one that begins so.
    pub fn command(&self, beginning: &str) -> String {
        let commands = self.commands();
        let mut found: Vec<_> = commands.iter().filter(|command| *command == beginning).collect();
        if found.is_empty() {
            found.extend(commands.iter().filter(|command| command.starts_with(beginning)));
        }
        let [command] = found[..] else { panic!("{beginning:?} is the beginning of {found:?}") };
        command.clone()
    }
}

/// The content that a command publishes: its last text in quotes, or what the JSON there has.
pub fn content(command: &str) -> String {
    let quoted = command.rsplit('\'').nth(1).unwrap_or_else(|| panic!("{command} publishes nothing"));
    let fields: serde_json::Value = serde_json::from_str(quoted).unwrap_or_default();
    let content = fields.get("content").or_else(|| fields.get("Content"));
    content.map_or(quoted, |content| content.as_str().unwrap()).to_owned()
}
