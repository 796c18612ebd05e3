//! Figures for operators.

/// What a scheduler counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// Sessions now.
    pub connections: usize,
    /// Users with a session now.
    pub users: usize,
    /// Topics, and filters for several, that a session follows now.
    pub topics: usize,
    /// How often a session follows a topic now, all together.
    pub subscriptions: usize,
    /// Jobs that wait in lanes now.
    pub queued: usize,
    /// Messages in inboxes now, if the store can be asked: 0 without one, nothing when it does not answer.
    pub stored: Option<u64>,
    /// Publications accepted since the start.
    pub accepted: u64,
    /// Publications refused since the start.
    pub refused: u64,
    /// Messages given up since the start.
    pub given_up: u64,
    /// Messages that were not delivered before their time was over, since the start.
    pub expired: u64,
    /// Connections refused since the start.
    pub connections_refused: u64,
}
