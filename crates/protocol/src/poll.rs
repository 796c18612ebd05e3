//! The answer to a long poll.

use crate::event_stream::{json_alone, one_line};
use crate::frame::ServerFrame;
use crate::{Acknowledgement, Delivery, EncodeError, Protocol, Serializer};

/// The body of an answer to a long poll: an object of the `frame` protocol in JSON a line. It ends with what there
/// was to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Poll;

impl Protocol for Poll {
    fn name(&self) -> &str {
        "poll"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        json_alone(serializer)
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        _: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        one_line(&ServerFrame::from(delivery), out)
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
        out.push(b'\n');
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::ByRequest
    }

    fn is_one_answer(&self) -> bool {
        true
    }

    fn say(&self, frame: &ServerFrame, _: &dyn Serializer, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        // Whoever polls knows that it is connected; only why it ends is news.
        if let ServerFrame::Bye { .. } = frame {
            one_line(frame, out)?;
            out.push(b'\n');
        }
        Ok(())
    }
}
