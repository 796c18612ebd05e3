//! What a user chooses of how messages are handed over.

/// How messages are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli::bench) enum Publishing {
    /// A request a message, on one connection, the next without waiting for the answer
    Http,
    /// A request for all that may go
    Batch,
    /// Frames of one session
    Frame,
}

impl std::fmt::Display for Publishing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Batch => "batch",
            Self::Frame => "frame",
        })
    }
}
