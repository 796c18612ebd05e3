//! One message: publishing it, asking what became of it, taking it back.

use msgserver_message::{MessageId, Stage};
use msgserver_persistence::Cancelled;
use msgserver_scheduler::{Publication, Published, Scheduler};
use serde::Serialize;
use warp::http::StatusCode;

use crate::answer::{Answer, accepted, json};
use crate::caller::Caller;
use crate::problem::Problem;

/// Where a message stands.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    id: MessageId,
    state: Stage,
}

impl From<Published> for Standing {
    fn from(Published { id, state }: Published) -> Self {
        Self { id, state }
    }
}

pub(crate) fn publication(body: &[u8]) -> Result<Publication, Problem> {
    Ok(Publication::from_json(body)?)
}

pub(crate) async fn publish(scheduler: &Scheduler, caller: &Caller, body: &[u8]) -> Answer {
    let publication = publication(body)?;
    caller.may_publish(&publication.target)?;
    let published = scheduler.publish(publication).await?;
    Ok(accepted(json(&Standing::from(published))))
}

pub(crate) async fn receipt(scheduler: &Scheduler, id: &str) -> Answer {
    let id = id.parse().map_err(Problem::bad)?;
    let receipt = scheduler.receipt(id).await?;
    receipt.map(|receipt| json(&receipt)).ok_or_else(|| unknown(id))
}

pub(crate) async fn cancel(scheduler: &Scheduler, id: &str) -> Answer {
    let id = id.parse().map_err(Problem::bad)?;
    match scheduler.cancel(id).await? {
        Cancelled::TakenBack(_) => Ok(json(&Standing { id, state: Stage::Cancelled })),
        Cancelled::TooLate => {
            Err(Problem::new(StatusCode::CONFLICT, format!("{id} has gone to everybody whom it was for")))
        }
        Cancelled::Unknown => Err(unknown(id)),
    }
}

fn unknown(id: MessageId) -> Problem {
    let detail = format!(
        "no message {id} is known; what became of one is kept for a while, and of notices that were not stored, \
         scheduled or given an id only of the last ones"
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}
