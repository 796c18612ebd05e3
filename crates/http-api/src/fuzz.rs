//! The parsers of bodies, for fuzz targets: here only when the compiler is told `--cfg fuzzing`.

use msgserver_scheduler::Publication;

use crate::batch::Form;
use crate::problem::Problem;
use crate::{messages, seed};

/// The bodies of `POST /v1/messages`, of `POST /v1/messages/batch` and of `POST /msg/sender`.
///
/// # Panics
/// If a refusal does not say that the publisher is at fault.
pub fn publications(body: &[u8]) {
    judge(messages::publication(body));
    judge(seed::publication(body));
    for form in [Form::Array, Form::Lines] {
        match form.publications(body) {
            Ok(publications) => publications.into_iter().for_each(judge),
            Err(problem) => judge(Err(problem)),
        }
    }
}

fn judge(parsed: Result<Publication, Problem>) {
    if let Err(problem) = parsed {
        let response = problem.response();
        assert!(matches!(response.status().as_u16(), 400..=499 | 501), "{}", response.status());
    }
}
