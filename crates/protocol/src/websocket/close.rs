//! Why a WebSocket is closed, as a number.

use super::header::{MAX_CONTROL_BYTES, Opcode, write};
use crate::{ByeCode, FrameFault};

/// The status of a close frame. Up to 2999 they are the standard's; from 4000 on they are msgserver's, one a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The conversation is over.
    pub const NORMAL: Self = Self(1000);

    /// For the cause that a `bye` names, and what was wrong with a bad frame.
    #[must_use]
    pub const fn of(code: ByeCode, fault: Option<FrameFault>) -> Self {
        Self(match (code, fault) {
            (ByeCode::BadFrame, Some(FrameFault::Violation)) => 1002,
            (ByeCode::BadFrame, Some(FrameFault::WrongKind)) => 1003,
            (ByeCode::BadFrame, Some(FrameFault::NotUtf8)) => 1007,
            (ByeCode::BadFrame, Some(FrameFault::TooLong)) => 1009,
            (ByeCode::BadFrame, _) => 4000,
            (ByeCode::Unauthorized, _) => 4001,
            (ByeCode::Timeout, _) => 4002,
            (ByeCode::Replaced, _) => 4003,
            (ByeCode::SlowConsumer, _) => 4004,
            (ByeCode::HeartbeatMissed, _) => 4005,
            (ByeCode::Dismissed, _) => 4006,
            (ByeCode::TokenExpired, _) => 4007,
            (ByeCode::Revoked, _) => 4008,
            (ByeCode::ShuttingDown, _) => 1001,
            (ByeCode::Unavailable, _) => 1013,
        })
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What a client may send (section 7.4): the others are for programs to tell themselves, or nobody's.
    pub(super) const fn from_client(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Appends the close frame, with as much of the reason as it takes.
    pub(super) fn write(self, reason: &str, out: &mut Vec<u8>) {
        let mut end = reason.len().min(MAX_CONTROL_BYTES - 2);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let payload = [&self.0.to_be_bytes(), &reason.as_bytes()[..end]].concat();
        write(Opcode::Close, &payload, out);
    }
}
