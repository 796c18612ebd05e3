//! What all doors have in common, in the words of none of them.

use std::path::Path;

use serde_json::Value;

use crate::support::Server;

/// One device of a user, as it introduces itself.
#[derive(Clone, Copy)]
pub struct Device<'a> {
    pub user: &'a str,
    pub name: &'a str,
    pub token: Option<&'a str>,
    pub topics: &'a [&'a str],
}

impl<'a> Device<'a> {
    pub const fn of(user: &'a str, name: &'a str) -> Self {
        Self { user, name, token: None, topics: &[] }
    }

    pub const fn with_token(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }

    pub const fn following(self, topics: &'a [&'a str]) -> Self {
        Self { topics, ..self }
    }
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Message {
    pub content: Value,
    pub topic: Option<String>,
    /// Its number in the user's inbox, if the door tells it.
    pub seq: Option<u64>,
    /// What it is acknowledged by; nothing if it is not kept.
    pub mark: Option<u64>,
    /// Whether it may have come before.
    pub again: bool,
}

impl Message {
    /// Of the object that most doors have.
    pub fn of_object(object: &Value) -> Self {
        let seq = object["seq"].as_u64();
        Self {
            content: object["content"].clone(),
            topic: object["topic"].as_str().map(str::to_owned),
            seq,
            mark: seq,
            again: object["redelivered"] == true,
        }
    }
}

/// What comes on a line.
#[derive(Debug)]
pub enum Said {
    Message(Message),
    /// The end, and its cause if the door says one.
    End(Option<String>),
}

impl Said {
    /// The end that a `bye` makes.
    pub fn bye(object: &Value) -> Self {
        Self::End(object["code"].as_str().map(str::to_owned))
    }
}

/// A device that is connected.
pub trait Line: Send {
    /// Waits for what comes next.
    fn next(&mut self) -> Said;

    /// Tells that a message is safe here, and so is each before it.
    fn acknowledge(&mut self, message: &Message);

    /// Goes, so that all that it has said is heard. To drop a line is to be cut off.
    fn leave(self: Box<Self>);

    fn message(&mut self) -> Message {
        match self.next() {
            Said::Message(message) => message,
            Said::End(cause) => panic!("a message was to come, and not the end: {cause:?}"),
        }
    }

    /// The contents of the next messages, each acknowledged.
    fn take(&mut self, count: usize) -> Vec<Value> {
        let next = |_| {
            let message = self.message();
            self.acknowledge(&message);
            message.content
        };
        (0..count).map(next).collect()
    }
}

/// A way in.
pub trait Door: Sync {
    /// What receipts call it.
    fn name(&self) -> &'static str;

    /// What a server needs to be told to have it, beside something more.
    fn flags<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        more.to_vec()
    }

    /// A server that has it, with these flags as well.
    fn start(&self, directory: &Path, flags: &[&str]) -> Server {
        Server::start(directory, &self.flags(flags))
    }

    /// Brings a device online. A refusal is told in the door's own way.
    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String>;

    /// How a device is told that it gives no proof of who it is, and that its proof does not count.
    fn refusals(&self) -> [&'static str; 2];

    /// Whether the server can say why it ends a connection.
    fn says_why(&self) -> bool {
        true
    }

    /// Says what this door has no meaning for, and sees to it that the server says what was wrong.
    fn says_what_was_wrong(&self, server: &Server);

    fn online(&self, server: &Server, device: Device<'_>) -> Box<dyn Line> {
        self.connect(server, device).unwrap_or_else(|refusal| panic!("{}: {refusal}", self.name()))
    }
}
