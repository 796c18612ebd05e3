//! The bodies of publications.

use msgserver_message::{Content, MessageId, Target, Topic, UserId};
use msgserver_scheduler::Publication;
use serde::Deserialize;
use serde_json::value::RawValue;
use warp::http::StatusCode;

use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    to: To,
    #[serde(borrow)]
    content: &'a RawValue,
    id: Option<MessageId>,
    ttl: Option<String>,
    store: Option<bool>,
    deliver_at: Option<serde::de::IgnoredAny>,
    priority: Option<serde::de::IgnoredAny>,
    collapse_key: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    user: Option<UserId>,
    users: Option<Vec<UserId>>,
    topic: Option<Topic>,
    all: Option<bool>,
}

impl To {
    fn target(self) -> Result<Target, Problem> {
        match (self.user, self.users, self.topic, self.all) {
            (Some(user), None, None, None) => Ok(Target::User(user)),
            (None, Some(users), None, None) => Ok(Target::Users(users)),
            (None, None, Some(topic), None) => Ok(Target::Topic(topic)),
            (None, None, None, Some(true)) => Ok(Target::All),
            _ => Err(bad("`to` takes exactly one of user, users, topic and \"all\": true")),
        }
    }
}

fn bad(detail: impl ToString) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// The body of `POST /v1/messages`.
pub(crate) fn publication(body: &[u8]) -> Result<Publication, Problem> {
    let body: Body<'_> = serde_json::from_slice(body).map_err(bad)?;
    let later = [
        ("deliver_at", body.deliver_at.is_some()),
        ("priority", body.priority.is_some()),
        ("collapse_key", body.collapse_key.is_some()),
    ];
    if let Some((field, _)) = later.into_iter().find(|(_, given)| *given) {
        // Better refused than taken and not done.
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, format!("{field} is not supported yet")));
    }
    let ttl = body.ttl.as_deref().map(humantime::parse_duration).transpose();
    let ttl = ttl.map_err(|fault| bad(format!("ttl: {fault}; a duration is such as 90s or 24h")))?;
    let content = Content::from_json(body.content.get()).map_err(bad)?;
    Ok(Publication { target: body.to.target()?, content, id: body.id, ttl, store: body.store })
}

#[derive(Deserialize)]
struct SeedBody {
    #[serde(rename = "To", default)]
    to: Option<String>,
    #[serde(rename = "Content")]
    content: String,
}

/// The body of `POST /msg/sender`.
pub(crate) fn seed_publication(body: &[u8]) -> Result<Publication, Problem> {
    let body: SeedBody = serde_json::from_slice(body).map_err(bad)?;
    let content = Content::text(&body.content);
    Ok(match body.to.filter(|to| !to.is_empty()) {
        None => Publication::new(Target::All, content),
        Some(user) => Publication::new(UserId::new(user).map_err(bad)?, content),
    })
}
