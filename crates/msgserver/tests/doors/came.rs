//! What a device has got.

use std::collections::HashSet;

use crate::door::{Line, Message};

/// What a device has that keeps the last number which it has seen.
#[derive(Default)]
pub struct Came {
    last: u64,
    seen: HashSet<u64>,
    pub contents: Vec<u64>,
}

impl Came {
    /// Takes messages until so many were new, and acknowledges each.
    pub fn take(&mut self, line: &mut dyn Line, count: usize) {
        let enough = self.contents.len() + count;
        while self.contents.len() < enough {
            let message = line.message();
            self.note(&message);
            line.acknowledge(&message);
        }
    }

    pub fn note(&mut self, message: &Message) {
        let content = message.content.as_u64().unwrap();
        let is_new = match message.seq {
            Some(seq) => seq > self.last,
            // A door without numbers leaves it to the client to know its messages.
            None => !self.seen.contains(&content),
        };
        if is_new {
            self.last = message.seq.unwrap_or(0);
            assert!(self.seen.insert(content), "{content} came twice, with another number");
            self.contents.push(content);
        }
    }
}
