//! How many files and sockets the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that sessions leave to others: at least what the server itself has open and a few for HTTP,
/// so that it can be asked how it is when it is full.
const LEAST_RESERVE: u64 = 32;
const MOST_RESERVE: u64 = 512;

/// Raises the limit as far as it may go, and gives it; nothing if there is none.
///
/// Most systems start a process with 1,024, for the sake of programs that use `select`, and let it have far
/// more.
pub(crate) fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    if let Err(fault) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%fault, ?soft, "the limit of open files cannot be raised");
        limit.current = soft;
    }
    limit.current
}

/// Raises the limit, and gives how many connections the doors may take of it.
pub(crate) fn for_connections() -> usize {
    raise().map_or(usize::MAX, |limit| usize::try_from(beside_reserve(limit)).unwrap_or(usize::MAX))
}

fn beside_reserve(limit: u64) -> u64 {
    limit.saturating_sub((limit / 8).clamp(LEAST_RESERVE, MOST_RESERVE)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_reserved_but_never_less_or_more_than_the_server_needs() {
        let limits = [16, 64, 256, 1024, 20_000, 1_000_000].map(beside_reserve);
        assert_eq!(limits, [1, 32, 224, 896, 19_488, 999_488]);
    }
}
