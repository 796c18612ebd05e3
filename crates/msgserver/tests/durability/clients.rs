//! Clients of both protocols, and what each of them has to have received in the end.

use std::collections::HashSet;
use std::io::{self, BufReader, Write};
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::publishers::Publisher;
use crate::stage::Stage;
use crate::support::{next_bar, next_frame, put_frame};
use crate::{END, SECRET};

impl Stage {
    /// A device that acknowledges and keeps the last number that it has seen: what came, once each.
    pub fn follow(&self, user: u64) -> Vec<Value> {
        let (mut last, mut came) = (0, Vec::new());
        while !self.is_over() && came.last() != Some(&json!(END)) {
            // An error is the connection's end; the next one goes on from here.
            let _ = self.follow_once(user, &mut last, &mut came);
        }
        came
    }

    fn follow_once(&self, user: u64, last: &mut u64, came: &mut Vec<Value>) -> io::Result<()> {
        let mut socket = self.connect("frame")?;
        let hello =
            json!({"type": "hello", "user": format!("user{user}"), "device": "phone", "token": SECRET});
        put_frame(&mut socket, &hello)?;
        let mut frames = BufReader::new(socket.try_clone()?);
        let enough = came.len() + 200;
        while came.last() != Some(&json!(END)) {
            if came.len() == enough {
                // Gone without a word; what is on its way has not come.
                return Ok(());
            }
            let frame = next_frame(&mut frames)?;
            let Some(seq) = frame["seq"].as_u64() else { continue };
            if seq > *last {
                *last = seq;
                came.push(frame["content"].clone());
                self.received.fetch_add(1, Ordering::Relaxed);
            }
            // Not each one: a kill is to find some that have come and are not acknowledged.
            if seq % 3 == 0 || frame["content"] == END {
                put_frame(&mut socket, &json!({"type": "ack", "seq": seq}))?;
            }
        }
        // The answer says that the acknowledgement was read.
        put_frame(&mut socket, &json!({"type": "ping"}))?;
        while next_frame(&mut frames)?["type"] != "pong" {}
        Ok(())
    }

    /// A client of the first msgserver, which can acknowledge nothing: all that came, again and again.
    pub fn follow_as_of_old(&self, user: u64) -> Vec<Value> {
        let mut came: Vec<Value> = Vec::new();
        while !self.is_over() && came.last() != Some(&json!(END)) {
            let _ = self.follow_as_of_old_once(user, &mut came);
        }
        came
    }

    fn follow_as_of_old_once(&self, user: u64, came: &mut Vec<Value>) -> io::Result<()> {
        let mut socket = self.connect("listen")?;
        socket.write_all(format!("user{user};{SECRET}|").as_bytes())?;
        let mut frames = BufReader::new(socket);
        while came.last() != Some(&json!(END)) {
            came.push(serde_json::from_str(&next_bar(&mut frames)?).unwrap());
        }
        Ok(())
    }
}

/// The numbers of one publisher, in the order in which they came.
fn numbers(came: &[Value], publisher: u64) -> Vec<u64> {
    came.iter()
        .filter(|content| content[0] == publisher)
        .map(|content| content[1].as_u64().unwrap())
        .collect()
}

/// Holds a publisher's answers against what came to both clients of its user.
pub fn audit(publisher: Publisher, answers: &[bool], phone: &[Value], old: &[Value]) {
    let Publisher { number, way } = publisher;
    let on_phone = numbers(phone, number);
    let mut once = HashSet::new();
    let doubled: Vec<_> = on_phone.iter().filter(|n| !once.insert(**n)).collect();
    assert!(doubled.is_empty(), "{way:?}: doubled: {doubled:?}");
    let mut first = HashSet::new();
    let on_old: Vec<u64> = numbers(old, number).into_iter().filter(|n| first.insert(*n)).collect();

    let answered = answers.iter().zip(0..).filter_map(|(answered, n)| answered.then_some(n));
    let answered: Vec<u64> = answered.collect();
    for (client, came) in [("phone", on_phone), ("old client", on_old)] {
        if way.keeps_order() {
            let wrong = came.windows(2).find(|pair| pair[0] > pair[1]);
            assert!(wrong.is_none(), "{way:?} at the {client}: out of order: {wrong:?}");
        }
        let wanted =
            if way.wants_all() { &answered[..] } else { &answered[answered.len().saturating_sub(1)..] };
        let came: HashSet<u64> = came.into_iter().collect();
        let lost: Vec<_> = wanted.iter().filter(|n| !came.contains(n)).collect();
        assert!(lost.is_empty(), "{way:?} at the {client}: answered and lost: {lost:?}");
    }
}
