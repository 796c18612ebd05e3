//! Why a connection does not come online.

use std::fmt;
use std::io;

use msgserver_access::Denied;
use msgserver_protocol::{ByeCode, DecodeError, Encoder, FrameFault, ServerFrame};

/// Why a connection does not come online; the text is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: ByeCode,
    text: String,
    fault: Option<FrameFault>,
    silent: bool,
}

impl Refusal {
    pub(crate) fn new(code: ByeCode, text: impl ToString) -> Self {
        Self { code, text: text.to_string(), fault: None, silent: false }
    }

    /// Of a client that has left by itself: there is nobody to be told.
    pub(crate) fn left() -> Self {
        Self { silent: true, ..Self::new(ByeCode::BadFrame, "the client left before hello") }
    }

    /// The cause.
    #[must_use]
    pub const fn code(&self) -> ByeCode {
        self.code
    }

    /// The reason, as clients of a door get it.
    pub(crate) fn farewell(self, encoder: &Encoder, retry_after_ms: Option<u64>) -> bytes::Bytes {
        if self.silent {
            return bytes::Bytes::new();
        }
        let bye = ServerFrame::Bye { code: self.code, detail: self.text, retry_after_ms };
        encoder.farewell(&bye, self.fault).unwrap_or_else(|| match bye {
            ServerFrame::Bye { detail, .. } => detail.into(),
            _ => bytes::Bytes::new(),
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let code = if denied.is_temporary() { ByeCode::Unavailable } else { ByeCode::Unauthorized };
        Self::new(code, denied)
    }
}

impl From<io::Error> for Refusal {
    fn from(fault: io::Error) -> Self {
        Self::new(ByeCode::BadFrame, fault)
    }
}

impl From<DecodeError> for Refusal {
    fn from(fault: DecodeError) -> Self {
        Self { fault: Some(fault.fault()), ..Self::new(ByeCode::BadFrame, fault) }
    }
}
