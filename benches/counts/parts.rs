//! The parts of a message's way, and what each may cost.

mod coding;
mod delivering;
mod publishing;
mod storing;

/// Does a round of a part's work as often as it likes.
pub(crate) type Rounds<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// A part of the way.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// How many operations a round is.
    pub(crate) each: usize,
    /// The most allocations an operation may take.
    pub(crate) allocations: f64,
    /// The most instructions an operation may take: a few in a hundred above what was counted.
    pub(crate) instructions: u64,
    /// Prepares, and has rounds done.
    pub(crate) work: fn(Rounds<'_>),
}

const fn part(
    name: &'static str,
    each: usize,
    allocations: f64,
    instructions: u64,
    work: fn(Rounds<'_>),
) -> Part {
    Part { name, each, allocations, instructions, work }
}

/// Contents are texts of 128 bytes.
pub(crate) const PARTS: [Part; 21] = [
    part("encode, default protocol, JSON", 1, 3.1, 950, coding::encode_default),
    part("encode, frame protocol, JSON", 1, 3.1, 4150, coding::encode_frame),
    part("encode, frame protocol, MessagePack", 1, 7.1, 9150, coding::encode_message_pack),
    part("encode, WebSocket, JSON", 1, 3.1, 4150, coding::encode_web_socket),
    part("encode, events", 1, 4.1, 6750, coding::encode_event),
    part("encode and seal, default protocol, JSON", 1, 2.1, 2850, coding::seal),
    part("decode a publish frame", 1, 3.1, 4600, coding::decode_publish),
    part("decode an acknowledgement", 1, 2.1, 2950, coding::decode_acknowledgement),
    part("a notice to 100 sessions", 1, 11.5, 48_500, delivering::notice_to_100),
    part("a notice to 400 sessions", 1, 11.5, 177_000, delivering::notice_to_400),
    part("  each of its deliveries", 400, 0.05, 445, delivering::notice_to_400),
    part("a message to a session", 1, 3.5, 1330, delivering::message_to_a_session),
    part("a message to one user, no store", 1, 12.0, 11_000, publishing::to_one),
    part("the same, memory store, acknowledged", 1, 88.0, 84_000, publishing::to_one_acknowledged),
    part("the same, over HTTP", 1, 112.0, 115_000, publishing::to_one_over_http),
    part("memory store: append, 256 together", 256, 21.5, 30_000, storing::append_to_memory),
    part("memory store: read, 256 together", 256, 6.2, 4900, storing::read_from_memory),
    part("memory store: acknowledge", 1, 17.5, 19_500, storing::acknowledge_in_memory),
    part("disk store: append, 256 together", 256, 22.0, 32_500, storing::append_to_disk),
    part("disk store: read, 256 together", 256, 6.5, 4900, storing::read_from_disk),
    part("disk store: acknowledge", 1, 22.5, 25_000, storing::acknowledge_on_disk),
];
