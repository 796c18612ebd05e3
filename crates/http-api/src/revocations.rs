//! Taking access tokens back.

use msgserver_access::RevocationError;
use msgserver_scheduler::Scheduler;
use warp::http::StatusCode;

use crate::answer::{Answer, json};
use crate::problem::Problem;
use crate::users::Closed;

pub(crate) async fn revoke(scheduler: &Scheduler, body: &[u8]) -> Answer {
    let revocation = serde_json::from_slice(body).map_err(Problem::bad)?;
    Ok(json(&Closed { closed: scheduler.revoke(revocation).await? }))
}

impl From<RevocationError> for Problem {
    fn from(fault: RevocationError) -> Self {
        let status = match fault {
            RevocationError::TooMany => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, fault)
    }
}
