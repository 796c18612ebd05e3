//! The raw TCP door of the first msgserver's protocol. Its clients acknowledge nothing: their TCP does. They are told no
//! number, no topic and no cause of an end, so that not every promise can be asked of it.

use std::io::{BufReader, Read, Write};

use serde_json::Value;

use crate::door::{Device, Door, Line, Message, Said};
use crate::support::{Server, Stream, next_bar, until};

pub struct Raw;

/// What proves a user where nothing else is asked for: nobody who has not proven it is one here.
const SECRET: &str = "open";
const ASKS: &str = "--shared-secret";

struct RawLine(BufReader<Stream>);

impl Line for RawLine {
    fn next(&mut self) -> Said {
        let Ok(text) = next_bar(&mut self.0) else { return Said::End(None) };
        let content = serde_json::from_str(&text).unwrap();
        Said::Message(Message { content, topic: None, seq: None, mark: None, again: false })
    }

    fn acknowledge(&mut self, _: &Message) {}

    fn leave(mut self: Box<Self>) {
        self.0.get_mut().finish();
        while next_bar(&mut self.0).is_ok() {}
    }
}

/// The sessions of a user, by their ids.
fn sessions(server: &Server, user: &str) -> Vec<Value> {
    let presence = server.http().get(&format!("/v1/users/{user}"));
    presence["sessions"].as_array().unwrap().iter().map(|session| session["session"].clone()).collect()
}

/// What a client is refused with.
fn refusal(stream: &mut Stream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

impl Door for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn flags<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        if more.contains(&ASKS) { more.to_vec() } else { [&[ASKS, SECRET], more].concat() }
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        let before = (sessions(server, device.user), server.stats()["connections_refused"].clone());
        let mut stream = server.dial("listen");
        write!(stream, "{};{}|", device.user, device.token.unwrap_or(SECRET)).unwrap();
        // Nobody is told here that it is online; others can see it.
        let is_online = until(|| {
            let is_online = sessions(server, device.user).iter().any(|session| !before.0.contains(session));
            (is_online || server.stats()["connections_refused"] != before.1).then_some(is_online)
        });
        if is_online { Ok(Box::new(RawLine(BufReader::new(stream)))) } else { Err(refusal(&mut stream)) }
    }

    fn refusals(&self) -> [&'static str; 2] {
        ["password is wrong"; 2]
    }

    fn says_why(&self) -> bool {
        false
    }

    fn says_what_was_wrong(&self, server: &Server) {
        let mut stream = server.dial("listen");
        stream.write_all(b"eve|").unwrap();
        assert_eq!(refusal(&mut stream), "password is wrong");
    }
}
