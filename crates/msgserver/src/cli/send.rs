//! `msgserver send`: the client crate's publisher, on a terminal.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use msgserver_client::{Error, Publication, Published, Publisher, Trust};
use msgserver_message::{Content, Topic, UserId};
use tokio::sync::mpsc::{Receiver, channel};

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
    to: Option<UserId>,
    /// To everybody who is connected
    #[arg(long, conflicts_with = "topic")]
    all: bool,
    /// To who follows a topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<Topic>,
    /// Try so long, under one id, when the server is away or overloaded
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// The certificates of the authorities that may vouch for the server, in PEM; the system's unless said
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What to say; `-` sends each line of standard input, in order, and prints an id and a state for each
    text: String,
}

impl Send {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let publisher = self.publisher()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::failed)?;
        let done = runtime.block_on(async {
            if self.text != "-" {
                return print(publisher.publish(&self.publication(&self.text)).await.map_err(failed)?);
            }
            self.publish_lines(&publisher).await
        });
        // Whoever reads standard input is not to be waited for.
        runtime.shutdown_background();
        done
    }

    fn publisher(&self) -> Result<Publisher, Fault> {
        let trust = self.ca.as_ref().map_or(Ok(Trust::System), Trust::authorities);
        let trust = trust.map_err(|fault| Fault::Failed(format!("--ca {fault}")))?;
        let publisher = Publisher::trusting(&self.url, &trust).map_err(|fault| match fault {
            Error::Address(fault) => Fault::Usage(vec![format!("--url: {fault}")]),
            fault => Fault::failed(fault),
        })?;
        let url = self.url.clone();
        let publisher = publisher.deadline(self.deadline).on_retry(move |detail, wait| {
            eprintln!("{url}: {detail}; trying again in {} ms", wait.as_millis());
        });
        let Some(key) = &self.api_key else { return Ok(publisher) };
        publisher.key(key).map_err(|fault| Fault::Usage(vec![format!("--api-key: {fault}")]))
    }

    fn publication(&self, text: &str) -> Publication {
        let content = Content::text(text);
        match (&self.to, &self.topic) {
            (Some(user), _) => Publication::to_user(user.clone(), content),
            (_, Some(topic)) => Publication::to_topic(topic.clone(), content),
            _ => Publication::to_all(content),
        }
    }

    /// What waits goes together, and the next when that is answered: so nothing is overtaken, and a lone line waits
    /// for no other.
    async fn publish_lines(&self, publisher: &Publisher) -> Result<(), Fault> {
        let (put, mut lines) = channel(LINES);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if put.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        let (mut sent, mut refused) = (0, 0);
        while let Some(batch) = next_batch(&mut lines).await? {
            let publications: Vec<_> = batch.iter().map(|text| self.publication(text)).collect();
            for result in publisher.publish_all(&publications).await.map_err(failed)? {
                sent += 1;
                match result {
                    Ok(published) => print(published)?,
                    Err(error) => {
                        refused += 1;
                        eprintln!("line {sent}: {}", refusal(&error));
                    }
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
async fn next_batch(lines: &mut Receiver<std::io::Result<String>>) -> Result<Option<Vec<String>>, Fault> {
    let Some(first) = lines.recv().await else { return Ok(None) };
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

fn refusal(error: &Error) -> String {
    match error {
        Error::Status { status, detail, .. } => format!("refused with {status}: {detail}"),
        error => error.to_string(),
    }
}

fn failed(error: Error) -> Fault {
    Fault::Failed(refusal(&error))
}

fn print(published: Published) -> Result<(), Fault> {
    let Published { id, state, .. } = published;
    writeln!(std::io::stdout(), "{id} {}", state.as_str()).map_err(Fault::failed)
}
