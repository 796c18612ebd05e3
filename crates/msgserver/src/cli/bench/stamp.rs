//! What a message of the load says: its number, and when it was meant to go.

use std::time::{Duration, Instant};

/// Stands in front of a stamp. No name, id or time of a frame has it, so a stamp is found without reading the frame.
const MARK: u8 = b'^';

/// The length of a stamp: the mark, 8 digits of the number and 16 of the moment.
const BYTES: usize = 25;

/// The shortest content: a stamp and the quotes around it.
pub(super) const SHORTEST: usize = BYTES + 2;

/// Counts the nanoseconds of a run. All moments of a run are taken by one clock, so no two have to agree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn at(self, moment: u64) -> Instant {
        self.0 + Duration::from_nanos(moment)
    }
}

/// A message's place among those of its receiver, and the moment for which it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) number: u32,
    pub(super) moment: u64,
}

impl Stamp {
    /// Appends a content of `size` bytes as JSON, its quotes included.
    pub(super) fn write(self, size: usize, out: &mut Vec<u8>) {
        let end = out.len() + size.max(SHORTEST) - 1;
        out.extend_from_slice(&[b'"', MARK]);
        hex(u64::from(self.number), 8, out);
        hex(self.moment, 16, out);
        out.resize(end, b'x');
        out.push(b'"');
    }

    /// The stamp in a frame, if it is one of the load's, and where it begins.
    pub(super) fn find(frame: &[u8]) -> Option<(Self, usize)> {
        let place = memchr::memchr(MARK, frame)?;
        let digits = frame.get(place + 1..place + BYTES)?;
        let number = u32::try_from(unhex(&digits[..8])?).ok()?;
        Some((Self { number, moment: unhex(&digits[8..])? }, place))
    }
}

fn hex(value: u64, digits: u32, out: &mut Vec<u8>) {
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(value >> (4 * digit) & 15) as usize]));
}

fn unhex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | u64::from((digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_the_content_is_as_long_as_asked() {
        for (number, moment, size) in [(0, 0, 1), (7, 123_456_789, SHORTEST), (u32::MAX, u64::MAX, 4096)] {
            let stamp = Stamp { number, moment };
            let mut content = b"before ".to_vec();
            stamp.write(size, &mut content);
            assert_eq!(content.len() - 7, size.max(SHORTEST));
            assert_eq!(Stamp::find(&content), Some((stamp, 8)));
            assert!(serde_json::from_slice::<String>(&content[7..]).is_ok());
        }
    }

    #[test]
    fn what_is_no_stamp_is_not_taken_for_one() {
        for frame in
            ["", "\"hello\"", "\"^\"", "\"^0000000g0000000000000000\"", "\"^00000000000000000000000\""]
        {
            assert_eq!(Stamp::find(frame.as_bytes()), None, "{frame}");
        }
    }
}
