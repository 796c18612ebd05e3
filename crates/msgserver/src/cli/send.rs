//! `msgserver send`.

use std::io::{BufRead, Write};

use clap::Args;

use super::Fault;

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
    /// What to say; `-` sends each line of standard input
    text: String,
}

impl Send {
    pub(crate) fn run(self) -> Result<(), Fault> {
        if self.text != "-" {
            return self.publish(&self.text);
        }
        for line in std::io::stdin().lock().lines() {
            self.publish(&line.map_err(Fault::failed)?)?;
        }
        Ok(())
    }

    fn publish(&self, text: &str) -> Result<(), Fault> {
        let to = match (&self.to, &self.topic) {
            (Some(user), _) => serde_json::json!({"user": user}),
            (_, Some(topic)) => serde_json::json!({"topic": topic}),
            _ => serde_json::json!({"all": true}),
        };
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("{}/v1/messages", self.url.trim_end_matches('/'));
        let mut request = agent.post(&url);
        if let Some(key) = &self.api_key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = request
            .send_json(serde_json::json!({"to": to, "content": text}))
            .map_err(|fault| Fault::failed(format!("{url}: {fault}; is a server running there?")))?;
        let answer: serde_json::Value = response.body_mut().read_json().map_err(Fault::failed)?;
        if response.status() != 202 {
            let detail = answer["detail"].as_str().unwrap_or("no reason was given");
            return Err(Fault::failed(format!("refused with {}: {detail}", response.status())));
        }
        let field = |name: &str| answer[name].as_str().unwrap_or("?").to_owned();
        writeln!(std::io::stdout(), "{} {}", field("id"), field("state")).map_err(Fault::failed)
    }
}
