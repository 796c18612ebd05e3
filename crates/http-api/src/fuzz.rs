//! The parsers of bodies, for fuzz targets: here only when the compiler is told `--cfg fuzzing`.

use msgserver_scheduler::Publication;

use crate::messages::{publication, seed_publication};
use crate::problem::Problem;

/// The bodies of `POST /v1/messages` and of `POST /msg/sender`.
///
/// # Panics
/// If a refusal does not say that the publisher is at fault.
pub fn publications(body: &[u8]) {
    judge(publication(body));
    judge(seed_publication(body));
}

fn judge(parsed: Result<Publication, Problem>) {
    if let Err(problem) = parsed {
        let response = problem.response();
        assert!(matches!(response.status().as_u16(), 400..=499 | 501), "{}", response.status());
    }
}
