//! The first msgserver's call: its clients look at the body alone, which is `1` or `0`.

use msgserver_message::{Content, Target, UserId};
use msgserver_scheduler::{Publication, Scheduler};
use serde::Deserialize;

use crate::answer::{Answer, text};
use crate::caller::Caller;
use crate::problem::Problem;

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "To", default)]
    to: Option<String>,
    #[serde(rename = "Content")]
    content: String,
}

pub(crate) fn publication(body: &[u8]) -> Result<Publication, Problem> {
    let body: Body = serde_json::from_slice(body).map_err(Problem::bad)?;
    let content = Content::text(&body.content);
    Ok(match body.to.filter(|to| !to.is_empty()) {
        None => Publication::new(Target::All, content),
        Some(user) => Publication::new(UserId::new(user).map_err(Problem::bad)?, content),
    })
}

pub(crate) async fn send(scheduler: &Scheduler, caller: &Caller, body: &[u8]) -> Answer {
    let publication = publication(body)?;
    caller.may_publish(&publication.target)?;
    scheduler.publish(publication).await?;
    Ok(text("1"))
}
