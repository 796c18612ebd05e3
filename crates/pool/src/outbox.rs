//! What a socket would not take yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

use bytes::{Buf, Bytes};
use msgserver_message::Seq;

/// How many slices one system call takes: the kernel's own limit is 1,024, and beyond some tens there is
/// nothing left to save.
const SLICES: usize = 64;

/// The bytes that wait for a socket, and what is known of those that it took.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Bytes that the socket took since the session began.
    written: u64,
    /// Made only when there is something: most sessions never have any, and a word is all that those pay.
    unconfirmed: Option<Box<Unconfirmed>>,
}

/// Kept messages whose last byte the peer's TCP has not acknowledged.
#[derive(Debug, Default)]
struct Unconfirmed {
    /// Where that byte stands, and the number.
    messages: VecDeque<(u64, Seq)>,
    /// Whether somebody looks whether it has been by now.
    watched: bool,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Writes `bytes` now if nothing waits before them; what the socket does not take waits.
    pub(crate) fn write(&mut self, mut socket: impl Write, mut bytes: Bytes) -> io::Result<()> {
        while self.is_empty() {
            match socket.write(&bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.written += n as u64;
                    bytes.advance(n);
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    // The socket is full, and will tell when it is not: asking it again says no more.
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.put(bytes);
        Ok(())
    }

    /// Has bytes wait.
    pub(crate) fn put(&mut self, bytes: Bytes) {
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(bytes);
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self, mut socket: impl Write) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let slices: smallvec::SmallVec<[IoSlice<'_>; SLICES]> =
                self.waiting.iter().take(SLICES).map(|bytes| IoSlice::new(bytes)).collect();
            let offered = slices.iter().map(|slice| slice.len()).sum::<usize>();
            let outcome = socket.write_vectored(&slices);
            drop(slices);
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.took(n);
                    if n < offered {
                        return Ok(());
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        // A burst's table is not kept by a session that may be idle for hours.
        self.waiting = VecDeque::new();
        Ok(())
    }

    fn took(&mut self, mut n: usize) {
        self.written += n as u64;
        self.waiting_bytes -= n;
        while n > 0 {
            let first = self.waiting.front_mut().expect("the socket took no more than was offered");
            if first.len() > n {
                first.advance(n);
                return;
            }
            n -= first.len();
            self.waiting.pop_front();
        }
    }

    /// Notes that everything offered so far ends with the kept message `seq`.
    pub(crate) fn expect_confirmation(&mut self, seq: Seq) {
        let end = self.written + self.waiting_bytes as u64;
        self.unconfirmed.get_or_insert_default().messages.push_back((end, seq));
    }

    /// Whether the caller has to look, from now on and until nothing waits any more, whether something has been
    /// acknowledged.
    pub(crate) fn watch_unconfirmed(&mut self) -> bool {
        self.unconfirmed.as_mut().is_some_and(|waiting| !std::mem::replace(&mut waiting.watched, true))
    }

    /// The last kept message that is wholly acknowledged when the kernel still holds `in_kernel` bytes.
    pub(crate) fn confirmed(&mut self, in_kernel: u64) -> Option<Seq> {
        std::iter::from_fn(|| self.next_confirmed(in_kernel)).last()
    }

    /// The next one of them.
    pub(crate) fn next_confirmed(&mut self, in_kernel: u64) -> Option<Seq> {
        let acknowledged = self.written.saturating_sub(in_kernel);
        let messages = &mut self.unconfirmed.as_mut()?.messages;
        let next = messages.pop_front_if(|(end, _)| *end <= acknowledged).map(|(_, seq)| seq);
        if messages.is_empty() {
            self.unconfirmed = None;
        }
        next
    }

    pub(crate) const fn awaits_confirmation(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A socket that takes so many bytes a call, and then says that it would block.
    struct Stingy {
        takes: VecDeque<usize>,
        took: Vec<u8>,
    }

    impl Write for &mut Stingy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.takes.pop_front() {
                None | Some(0) => Err(io::ErrorKind::WouldBlock.into()),
                Some(n) => {
                    let n = n.min(bytes.len());
                    self.took.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }
        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.write(&slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<u8>>())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_byte_goes_out_once_and_in_order(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..30),
            takes in prop::collection::vec(0usize..30, 0..60),
        ) {
            let mut outbox = Outbox::default();
            let mut socket = Stingy { takes: takes.into(), took: Vec::new() };
            let mut confirmed = Seq::ZERO;
            for (i, part) in parts.iter().enumerate() {
                outbox.write(&mut socket, part.clone().into()).unwrap();
                outbox.expect_confirmation(Seq::new(i as u64 + 1));
            }
            let all: Vec<u8> = parts.concat();
            while !outbox.is_empty() {
                prop_assert_eq!(outbox.bytes(), all.len() - socket.took.len());
                let whole = parts.iter().scan(0, |end, part| { *end += part.len(); Some(*end) })
                    .take_while(|&end| end <= socket.took.len()).count();
                confirmed = confirmed.max(outbox.confirmed(0).unwrap_or(confirmed));
                prop_assert_eq!(confirmed, Seq::new(whole as u64));
                socket.takes.extend([7, 0]);
                outbox.flush(&mut socket).unwrap();
            }
            prop_assert_eq!(&socket.took, &all);
            prop_assert_eq!(outbox.confirmed(0).unwrap_or(confirmed), Seq::new(parts.len() as u64));
            prop_assert!(!outbox.awaits_confirmation());
        }
    }
}
