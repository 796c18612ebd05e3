//! How a connection ends.

use std::time::Duration;

use msgserver_protocol::ByeCode;

use crate::Error;

/// How a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// There may be another one, after the time that the server has named.
    Lost { detail: String, retry_after: Option<Duration> },
    /// There is to be another one at once: what had to be left lying is to be sent again.
    Behind,
    /// There is no use in coming back.
    Final(Error),
    /// Nobody wants it any more.
    Closed,
}

pub(crate) fn lost(fault: impl ToString) -> End {
    End::Lost { detail: fault.to_string(), retry_after: None }
}

/// What a `bye` means. Who can get another token may come back with it.
pub(crate) fn bye(code: ByeCode, detail: String, retry_after_ms: Option<u64>, has_other_tokens: bool) -> End {
    let is_final = match code {
        ByeCode::Replaced | ByeCode::BadFrame => true,
        ByeCode::Unauthorized | ByeCode::TokenExpired | ByeCode::Revoked => !has_other_tokens,
        _ => false,
    };
    if is_final {
        End::Final(Error::Bye { code, detail })
    } else {
        End::Lost { detail, retry_after: retry_after_ms.map(Duration::from_millis) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_to_stay_away_stays_away_and_others_come_back_when_they_are_told_to() {
        let is_final = |code, tokens| matches!(bye(code, String::new(), None, tokens), End::Final(_));
        assert!(is_final(ByeCode::Replaced, true) && is_final(ByeCode::Unauthorized, false));
        assert!(!is_final(ByeCode::Unauthorized, true) && !is_final(ByeCode::SlowConsumer, false));
        let End::Lost { retry_after, .. } = bye(ByeCode::ShuttingDown, String::new(), Some(5), false) else {
            panic!("it may come back")
        };
        assert_eq!(retry_after, Some(Duration::from_millis(5)));
    }
}
