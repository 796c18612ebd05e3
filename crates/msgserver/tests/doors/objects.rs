//! The conversation in objects, whatever carries them.

use serde_json::{Value, json};

use crate::door::{Device, Line, Message, Said};

/// What brings objects to the server and back.
pub trait Carrier: Send {
    fn say(&mut self, object: &Value);

    /// The next object; nothing at the end.
    fn hear(&mut self) -> Option<Value>;

    /// Says that nothing more follows, in its own way.
    fn finish(&mut self);
}

struct Objects<C>(C);

/// Says hello, and is let in or told why not.
pub fn open(mut carrier: impl Carrier + 'static, device: Device<'_>) -> Result<Box<dyn Line>, String> {
    let mut hello = json!({"type": "hello", "user": device.user, "device": device.name});
    if let Some(token) = device.token {
        hello["token"] = token.into();
    }
    if !device.topics.is_empty() {
        hello["topics"] = device.topics.into();
    }
    carrier.say(&hello);
    let answer = carrier.hear().expect("hello is answered");
    match answer["type"].as_str() {
        Some("welcome") => Ok(Box::new(Objects(carrier))),
        _ => Err(answer["code"].as_str().unwrap().to_owned()),
    }
}

impl<C: Carrier> Line for Objects<C> {
    fn next(&mut self) -> Said {
        let Some(object) = self.0.hear() else { return Said::End(None) };
        match object["type"].as_str() {
            Some("message") => Said::Message(Message::of_object(&object)),
            Some("bye") => Said::bye(&object),
            _ => panic!("{object}"),
        }
    }

    fn acknowledge(&mut self, message: &Message) {
        if let Some(seq) = message.mark {
            self.0.say(&json!({"type": "ack", "seq": seq}));
        }
    }

    fn leave(mut self: Box<Self>) {
        self.0.finish();
        while self.0.hear().is_some() {}
    }
}
