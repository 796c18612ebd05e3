//! The doors whose answers are streams of HTTP: Server-Sent Events, and long polls.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::door::{Device, Door, Line, Message, Said};
use crate::support::{Http, Server, Stream, Way};

/// The answer to a request, but for its head; or the status of a refusal.
fn ask(way: &Way, path: &str, token: Option<&str>) -> Result<BufReader<Stream>, String> {
    let gone = |fault: io::Error| fault.to_string();
    let mut socket = way.connect().map_err(gone)?;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {}\r\n{token}\r\n", way.address).map_err(gone)?;
    let (mut answer, mut head) = (BufReader::new(socket), String::new());
    while !head.ends_with("\r\n\r\n") {
        if answer.read_line(&mut head).map_err(gone)? == 0 {
            return Err(format!("the answer ended: {head}"));
        }
    }
    match head.split(' ').nth(1) {
        Some("200") => Ok(answer),
        status => Err(status.unwrap_or_default().to_owned()),
    }
}

fn query(device: Device<'_>) -> String {
    // In a query a `+` is a space.
    let topics = device.topics.join(",").replace('+', "%2B");
    format!("user={}&device={}&topics={topics}", device.user, device.name)
}

/// The problem that a request is answered with which cannot be understood.
fn is_told_what_was_wrong(server: &Server, path: &str) {
    server.http().request("GET", path, "").unwrap().assert_problem(400);
}

pub struct Events;

struct EventLine {
    stream: BufReader<Stream>,
    way: Way,
    device: Value,
}

impl EventLine {
    /// The next event: its name, which is empty for messages, and its object.
    fn event(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            if let Some(said) = line.strip_prefix("event: ") {
                said.trim_end().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }
}

impl Line for EventLine {
    fn next(&mut self) -> Said {
        match self.event() {
            None => Said::End(None),
            Some((name, object)) if name.is_empty() => Said::Message(Message::of_object(&object)),
            Some((_, bye)) => Said::bye(&bye),
        }
    }

    fn acknowledge(&mut self, message: &Message) {
        let Some(seq) = message.mark else { return };
        let mut said = self.device.clone();
        said["seq"] = seq.into();
        // The server may have gone meanwhile; it will be told when the device is back.
        let answer = Http::by(&self.way).and_then(|mut http| http.post("/v1/ack", &said));
        if let Ok(answer) = answer {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }

    fn leave(self: Box<Self>) {}
}

impl Door for Events {
    fn name(&self) -> &'static str {
        "sse"
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        let way = server.way("http");
        let stream = ask(&way, &format!("/v1/sse?{}", query(device)), device.token)?;
        let said = json!({"user": device.user, "device": device.name, "token": device.token});
        let mut line = EventLine { stream, way, device: said };
        let (name, welcome) = line.event().unwrap();
        assert_eq!(name, "welcome", "{welcome}");
        Ok(Box::new(line))
    }

    fn refusals(&self) -> [&'static str; 2] {
        ["401"; 2]
    }

    fn says_what_was_wrong(&self, server: &Server) {
        is_told_what_was_wrong(server, "/v1/sse?user=");
    }
}

/// Its devices keep the last number that they have, each in its own place.
#[derive(Default)]
pub struct Poll {
    places: Mutex<HashMap<String, Arc<Mutex<u64>>>>,
}

/// A device that asks again as soon as all of the last answer is acknowledged.
struct PollLine {
    way: Way,
    path: String,
    token: Option<String>,
    /// The last number that it has acknowledged.
    place: Arc<Mutex<u64>>,
    /// The last number that came.
    came: u64,
    answer: BufReader<Stream>,
}

impl PollLine {
    fn ask(&self, wait: u64) -> Result<BufReader<Stream>, String> {
        let path = format!("{}&wait={wait}&after={}", self.path, self.place.lock().unwrap());
        ask(&self.way, &path, self.token.as_deref())
    }

    /// The next line of this answer or, if that is over, of the next.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            match self.answer.read_line(&mut line) {
                Err(_) => return None,
                // Asked again, it would answer the same.
                Ok(0) if self.came > *self.place.lock().unwrap() => return None,
                Ok(0) => self.answer = self.ask(25).ok()?,
                Ok(_) => return Some(line),
            }
        }
    }
}

impl Line for PollLine {
    fn next(&mut self) -> Said {
        let Some(line) = self.line() else { return Said::End(None) };
        let object: Value = serde_json::from_str(&line).unwrap();
        if object["type"] == "bye" {
            return Said::bye(&object);
        }
        let message = Message::of_object(&object);
        self.came = message.seq.unwrap_or(self.came);
        Said::Message(message)
    }

    fn acknowledge(&mut self, message: &Message) {
        if let Some(seq) = message.mark {
            *self.place.lock().unwrap() = seq;
        }
    }

    fn leave(self: Box<Self>) {
        // What it has is said with a last request, until nothing of it comes again: the server may still be noting what
        // the request before has brought.
        let has = *self.place.lock().unwrap();
        while let Ok(answer) = self.ask(1) {
            let lines = answer.lines().map_while(Result::ok);
            let again =
                lines.filter_map(|line| serde_json::from_str::<Value>(&line).unwrap()["seq"].as_u64());
            if again.min().is_none_or(|seq| seq > has) {
                return;
            }
        }
    }
}

impl Door for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        let way = server.way("http");
        let path = format!("/v1/poll?{}", query(device));
        let name = format!("{} {}", device.user, device.name);
        let place = Arc::clone(self.places.lock().unwrap().entry(name).or_default());
        let after = *place.lock().unwrap();
        let answer = ask(&way, &format!("{path}&wait=25&after={after}"), device.token)?;
        let token = device.token.map(str::to_owned);
        Ok(Box::new(PollLine { way, path, token, place, came: after, answer }))
    }

    fn refusals(&self) -> [&'static str; 2] {
        ["401"; 2]
    }

    fn says_what_was_wrong(&self, server: &Server) {
        is_told_what_was_wrong(server, "/v1/poll?wait=3600");
    }
}
