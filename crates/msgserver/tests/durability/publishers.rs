//! Publishers of every kind. Each counts, and remembers which of its numbers were answered.

use std::collections::VecDeque;
use std::io::{self, BufReader};
use std::time::Duration;

use msgserver::Timestamp;
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{Http, next_frame, put_frame, until};
use crate::{END, KEY, USERS};

/// How one publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A request a message, and the next number whatever became of it.
    Careless,
    /// A request a message with an id, again until it is answered.
    Careful,
    /// Several with ids in a request, again until the request is answered.
    Batches,
    /// Through a session, several on their way, again with their ids on the next connection.
    Frames,
    /// As careful, each for a moment that is near.
    Scheduled,
    /// As careful, and each is to take the place of the one before.
    Collapsing,
}

impl Way {
    pub const ALL: [Self; 6] =
        [Self::Careless, Self::Careful, Self::Batches, Self::Frames, Self::Scheduled, Self::Collapsing];

    /// Whether its messages come in the order of its numbers.
    pub fn keeps_order(self) -> bool {
        self != Self::Scheduled
    }

    /// Whether each of its messages is to come, and not the last alone.
    pub fn wants_all(self) -> bool {
        self != Self::Collapsing
    }
}

/// How many messages a batch has, and how many a session has on its way.
const TOGETHER: usize = 8;

/// How far ahead is published what is to be delivered later.
const AHEAD: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Publisher {
    pub number: u64,
    pub way: Way,
}

impl Publisher {
    /// One of each way for each user.
    pub fn all() -> Vec<Self> {
        let ways = Way::ALL.into_iter().flat_map(|way| (0..USERS).map(move |_| way));
        ways.zip(0..).map(|(way, number)| Self { number, way }).collect()
    }

    /// To whom it publishes.
    pub fn user(self) -> u64 {
        self.number % USERS
    }

    fn message(self, n: u64) -> Value {
        let mut message =
            json!({"to": {"user": format!("user{}", self.user())}, "content": [self.number, n]});
        if self.way != Way::Careless {
            message["id"] = json!(self.id(n));
        }
        match self.way {
            Way::Scheduled => {
                message["deliver_at"] = json!(Timestamp::now().saturating_add(AHEAD * (n % 5) as u32));
            }
            Way::Collapsing => message["collapse_key"] = json!(format!("k{}", self.number)),
            _ => {}
        }
        message
    }

    fn id(self, n: u64) -> String {
        format!("{:026}", self.number * 1_000_000_000 + n)
    }

    /// Waits until everything that was to come later is in its inbox: what was under way when the store failed may
    /// take longer than its moment.
    pub fn wait_until_released(self, stage: &Stage, answers: &[bool]) {
        if self.way != Way::Scheduled {
            return;
        }
        let mut http = stage.http().unwrap();
        let answered = answers.iter().zip(0..).filter_map(|(answered, n)| answered.then_some(n));
        for n in answered {
            let path = format!("/v1/messages/{}", self.id(n));
            until(|| (http.get(&path)["state"] != "scheduled").then_some(()));
        }
    }

    /// Publishes until told to stop; gives for each number whether it was answered.
    pub fn publish(self, stage: &Stage) -> Vec<bool> {
        match self.way {
            Way::Batches => self.publish_batches(stage),
            Way::Frames => self.publish_frames(stage),
            _ => self.publish_alone(stage),
        }
    }

    fn publish_alone(self, stage: &Stage) -> Vec<bool> {
        let (mut answers, mut connection) = (Vec::new(), None);
        while stage.is_publishing() {
            let message = self.message(answers.len() as u64);
            loop {
                let answered = post(stage, &mut connection, "/v1/messages", &message).is_some();
                stage.note_answered(answered.into());
                let again = self.way != Way::Careless && !answered && stage.is_publishing();
                if !again {
                    answers.push(answered);
                    break;
                }
            }
        }
        answers
    }

    fn publish_batches(self, stage: &Stage) -> Vec<bool> {
        let (mut answers, mut connection) = (Vec::new(), None);
        while stage.is_publishing() {
            let first = answers.len() as u64;
            let batch: Vec<_> = (first..first + TOGETHER as u64).map(|n| self.message(n)).collect();
            let results = loop {
                let results = post(stage, &mut connection, "/v1/messages/batch", &json!(batch));
                if results.is_some() || !stage.is_publishing() {
                    break results;
                }
            };
            for n in 0..TOGETHER {
                let result = results.as_ref().map_or(&Value::Null, |results| &results[n]);
                let answered = result["id"].is_string();
                if answered {
                    stage.note_answered(1);
                } else if !result.is_null() {
                    assert_eq!(result["status"], 503, "{result}");
                    stage.note_refused();
                }
                answers.push(answered);
            }
        }
        answers
    }

    fn publish_frames(self, stage: &Stage) -> Vec<bool> {
        let (mut answers, mut unanswered) = (Vec::new(), VecDeque::new());
        while stage.is_publishing() {
            // An error is the connection's end; the next one begins with what was on its way.
            let _ = self.publish_frames_once(stage, &mut answers, &mut unanswered);
        }
        answers
    }

    fn publish_frames_once(
        self,
        stage: &Stage,
        answers: &mut Vec<bool>,
        unanswered: &mut VecDeque<u64>,
    ) -> io::Result<()> {
        let mut socket = stage.connect("frame")?;
        let user = format!("publisher{}", self.number);
        put_frame(&mut socket, &json!({"type": "hello", "user": user, "token": KEY}))?;
        let mut frames = BufReader::new(socket.try_clone()?);
        assert_ne!(next_frame(&mut frames)?["type"], "error");
        for n in unanswered.iter() {
            put_frame(&mut socket, &self.publication(*n))?;
        }
        while stage.is_publishing() {
            while unanswered.len() < TOGETHER {
                let n = answers.len() as u64;
                answers.push(false);
                unanswered.push_back(n);
                put_frame(&mut socket, &self.publication(n))?;
            }
            let frame = next_frame(&mut frames)?;
            let Some(n) = frame["ref"].as_u64() else { continue };
            // Taken in the order in which they were sent.
            assert_eq!(unanswered.pop_front(), Some(n), "{frame}");
            if frame["type"] == "published" {
                answers[n as usize] = true;
                stage.note_answered(1);
            } else {
                assert_eq!(frame["code"], "unavailable", "{frame}");
                stage.note_refused();
            }
        }
        Ok(())
    }

    fn publication(self, n: u64) -> Value {
        json!({"type": "publish", "ref": n, "message": self.message(n)})
    }
}

/// What a request was answered with, if it was taken.
fn post(stage: &Stage, connection: &mut Option<Http>, path: &str, body: &Value) -> Option<Value> {
    let http = match connection {
        Some(http) => http,
        None => connection.insert(stage.http().ok()?),
    };
    match http.post(path, body) {
        Ok(answer) if answer.status == 202 => Some(serde_json::from_str(&answer.body).unwrap()),
        Ok(answer) => {
            answer.assert_problem(503);
            stage.note_refused();
            None
        }
        Err(_) => {
            *connection = None;
            None
        }
    }
}

/// The last message of a user.
pub fn publish_end(stage: &Stage, user: u64) {
    let mut connection = None;
    let to = json!({"user": format!("user{user}")});
    let message = json!({"to": to, "content": END, "id": format!("7{user:025}")});
    until(|| post(stage, &mut connection, "/v1/messages", &message));
}
