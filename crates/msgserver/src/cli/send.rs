//! `msgserver send`.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, sync_channel};

use clap::Args;
use serde_json::{Value, json};

use super::Fault;

/// How many lines go in one request, and how many bytes of them.
const LINES: usize = 1000;
const BYTES: usize = 4 * 1024 * 1024;

#[derive(Args)]
pub(crate) struct Send {
    /// Where the HTTP API is
    #[arg(long, default_value = "http://127.0.0.1:3365", env = "MSGSERVER_URL")]
    url: String,
    /// The server's API key
    #[arg(long, env = "MSGSERVER_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// To one user
    #[arg(long, value_name = "USER", conflicts_with_all = ["all", "topic"], required_unless_present_any = ["all", "topic"])]
    to: Option<String>,
    /// To everybody who is connected
    #[arg(long, conflicts_with = "topic")]
    all: bool,
    /// To who follows a topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// What to say; `-` sends each line of standard input, in order, and prints an id and a state for each
    text: String,
}

impl Send {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let publisher = Publisher {
            agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
            url: format!("{}/v1/messages", self.url.trim_end_matches('/')),
            bearer: self.api_key.map(|key| format!("Bearer {key}")),
            to: match (self.to, self.topic) {
                (Some(user), _) => json!({"user": user}),
                (_, Some(topic)) => json!({"topic": topic}),
                _ => json!({"all": true}),
            },
        };
        if self.text == "-" { publisher.publish_lines() } else { publisher.publish(&self.text) }
    }
}

/// Says the same target everything.
struct Publisher {
    agent: ureq::Agent,
    url: String,
    bearer: Option<String>,
    to: Value,
}

impl Publisher {
    fn message(&self, text: &str) -> Value {
        json!({"to": self.to, "content": text})
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.post(&url);
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", bearer);
        }
        let mut response = request
            .send_json(body)
            .map_err(|fault| Fault::failed(format!("{url}: {fault}; is a server running there?")))?;
        let answer: Value = response.body_mut().read_json().map_err(Fault::failed)?;
        if response.status() == 202 { Ok(answer) } else { Err(Fault::Failed(refusal(&answer))) }
    }

    fn publish(&self, text: &str) -> Result<(), Fault> {
        print(&self.post("", &self.message(text))?)
    }

    /// What waits goes together, and the next when that is answered: so nothing is overtaken, and a lone line waits
    /// for no other.
    fn publish_lines(&self) -> Result<(), Fault> {
        let (put, lines) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if put.send(line).is_err() {
                    return;
                }
            }
        });
        let (mut sent, mut refused) = (0, 0);
        while let Some(batch) = next_batch(&lines)? {
            let messages: Vec<_> = batch.iter().map(|text| self.message(text)).collect();
            let results = self.post("/batch", &messages.into())?;
            for result in results.as_array().into_iter().flatten() {
                sent += 1;
                if result["id"].is_string() {
                    print(result)?;
                } else {
                    refused += 1;
                    eprintln!("line {sent}: {}", refusal(result));
                }
            }
        }
        if refused == 0 {
            Ok(())
        } else {
            Err(Fault::Failed(format!("{refused} of {sent} lines were refused")))
        }
    }
}

/// The lines that wait, at least one; nothing at the end.
fn next_batch(lines: &Receiver<std::io::Result<String>>) -> Result<Option<Vec<String>>, Fault> {
    let Ok(first) = lines.recv() else { return Ok(None) };
    let first = first.map_err(unreadable)?;
    let mut bytes = first.len();
    let mut batch = vec![first];
    while batch.len() < LINES && bytes < BYTES {
        let Ok(line) = lines.try_recv() else { break };
        let line = line.map_err(unreadable)?;
        bytes += line.len();
        batch.push(line);
    }
    Ok(Some(batch))
}

fn unreadable(fault: std::io::Error) -> Fault {
    Fault::Failed(format!("standard input: {fault}"))
}

fn refusal(problem: &Value) -> String {
    let detail = problem["detail"].as_str().unwrap_or("no reason was given");
    format!("refused with {}: {detail}", problem["status"])
}

fn print(standing: &Value) -> Result<(), Fault> {
    let field = |name: &str| standing[name].as_str().unwrap_or("?");
    writeln!(std::io::stdout(), "{} {}", field("id"), field("state")).map_err(Fault::failed)
}
