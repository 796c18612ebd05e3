//! What is said of a webhook.

use std::time::Duration;

use msgserver::{Endpoint, Retry, Stage, TargetPattern, WebhookError};

use super::value::{HIDDEN, Shape, Value, items};

/// An endpoint that is told what becomes of messages.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) url: Option<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) steps: Vec<Stage>,
    pub(crate) targets: Vec<String>,
    pub(crate) timeout: Duration,
    pub(crate) batch: usize,
    pub(crate) backlog: usize,
    pub(crate) retry: Retry,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: None,
            secrets: Vec::new(),
            steps: Endpoint::STAGES.to_vec(),
            targets: Vec::new(),
            timeout: Endpoint::TIMEOUT,
            batch: Endpoint::BATCH,
            backlog: Endpoint::BACKLOG,
            retry: Retry::default(),
        }
    }
}

impl Webhook {
    /// The endpoint, if there is a URL.
    ///
    /// # Errors
    /// What is wrong with a part of it.
    pub(crate) fn endpoint(&self) -> Option<Result<Endpoint, WebhookError>> {
        let url = self.url.as_deref()?;
        let endpoint = || {
            let targets: Result<Vec<_>, _> = self.targets.iter().map(|target| target.parse()).collect();
            let endpoint = Endpoint::new(url)?
                .stages(self.steps.clone())
                .targets(targets?)
                .timeout(self.timeout)
                .batch(self.batch)
                .backlog(self.backlog)
                .retry(self.retry);
            self.secrets.iter().try_fold(endpoint, |endpoint, secret| Ok(endpoint.secret(secret.parse()?)))
        };
        Some(endpoint())
    }
}

/// Where a webhook is.
pub(crate) struct EndpointUrl<'a>(pub(crate) &'a mut Option<String>);

impl Value for EndpointUrl<'_> {
    fn placeholder(&self) -> &'static str {
        "URL"
    }

    fn expected(&self) -> String {
        "a URL such as \"https://app.example/hooks\", without a user".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        Endpoint::new(text).ok()?;
        *self.0 = Some(text.to_owned());
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.clone()
    }

    fn shown(&self, given: &str) -> String {
        let Some((before, host)) = given.rsplit_once('@') else { return given.to_owned() };
        let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
        format!("{scheme}{HIDDEN}@{host}")
    }
}

/// What requests are signed with.
pub(crate) struct Secrets<'a>(pub(crate) &'a mut Vec<String>);

impl Value for Secrets<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "SECRET"
    }

    fn expected(&self) -> String {
        "secrets, each \"whsec_\" and the base64 of 24 to 64 random bytes".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let good = |secret: &str| secret == HIDDEN || secret.parse::<msgserver::WebhookSecret>().is_ok();
        let secret = |secret: &str| good(secret).then(|| secret.to_owned());
        *self.0 = items(text).map(secret).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.join(","))
    }

    fn shown(&self, given: &str) -> String {
        if given.is_empty() { String::new() } else { HIDDEN.to_owned() }
    }

    fn is_hidden(&self) -> bool {
        self.0.iter().any(|secret| secret == HIDDEN)
    }
}

/// The steps that can be told.
const STEPS: [Stage; 7] = [
    Stage::Accepted,
    Stage::Scheduled,
    Stage::Queued,
    Stage::Sent,
    Stage::Acknowledged,
    Stage::Expired,
    Stage::Cancelled,
];

/// Which steps are told.
pub(crate) struct Steps<'a>(pub(crate) &'a mut Vec<Stage>);

impl Value for Steps<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "STEP"
    }

    fn expected(&self) -> String {
        format!("one or more of {}", STEPS.map(|stage| format!("{:?}", stage.as_str())).join(", "))
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let stage = |name: &str| STEPS.into_iter().find(|stage| stage.as_str() == name);
        let stages: Vec<_> = items(text).map(stage).collect::<Option<_>>()?;
        *self.0 = (!stages.is_empty()).then_some(stages)?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(","))
    }
}

/// Whose messages are told of.
pub(crate) struct Targets<'a>(pub(crate) &'a mut Vec<String>);

impl Value for Targets<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "TARGET"
    }

    fn expected(&self) -> String {
        "\"all\", \"user/NAME\" or \"topic/NAME\", where NAME may end with *".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let target = |text: &str| text.parse::<TargetPattern>().ok().map(|_| text.to_owned());
        *self.0 = items(text).map(target).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.join(","))
    }
}
