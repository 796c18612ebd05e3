//! Protocol `default` in the clear; also what clients of the floor speak.

use super::super::stamp::Stamp;
use super::{Heard, Line};

/// The byte at the end of a frame.
pub(super) const BAR: u8 = b'|';

/// What the server sends to find out whether a client is there; to be dropped.
const KEEPALIVE: u8 = 0;

pub(super) struct Raw {
    greeting: Vec<u8>,
    /// Whether the server says something before the client is online.
    is_answered: bool,
}

impl Raw {
    /// Nobody is told that it is online at this door: it is so for itself once it has said who it is.
    pub(super) fn new(proof: Option<String>) -> Self {
        let greeting = proof.map(|proof| format!("{proof}|").into_bytes()).unwrap_or_default();
        Self { greeting, is_answered: false }
    }

    pub(super) fn of_floor(number: usize) -> Self {
        Self { greeting: format!("{number}|").into_bytes(), is_answered: true }
    }
}

impl Line for Raw {
    fn greet(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.greeting)
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        heard.online = !self.is_answered || !bytes.is_empty();
        let mut taken = 0;
        for end in memchr::memchr_iter(BAR, bytes) {
            heard.stamps.extend(Stamp::find(&bytes[taken..end]).map(|(stamp, _)| (stamp, false)));
            taken = end + 1;
        }
        let keepalives = bytes[taken..].iter().take_while(|&&byte| byte == KEEPALIVE).count();
        Ok(taken + keepalives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_are_cut_and_keepalives_are_dropped() {
        let mut bytes = vec![0];
        for number in 0..3 {
            Stamp { number, moment: 9 }.write(40, &mut bytes);
            bytes.extend_from_slice(b"|\0");
        }
        for piece in 1..bytes.len() {
            let (mut line, mut heard, mut tail) = (Raw::new(None), Heard::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                tail.extend_from_slice(piece);
                let taken = line.take(&tail, &mut heard).unwrap();
                tail.drain(..taken);
            }
            assert!(tail.is_empty());
            let numbers: Vec<u32> = heard.stamps.iter().map(|(stamp, _)| stamp.number).collect();
            assert_eq!(numbers, [0, 1, 2]);
        }
    }
}
