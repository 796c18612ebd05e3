//! Any door under TLS.

use super::{Heard, Line};
use crate::cli::bench::channel::Channel;

/// A line within TLS. Its client comes online as on the line itself, behind the handshake.
pub(in super::super) struct Sealed {
    channel: Channel,
    line: Box<dyn Line>,
    has_greeted: bool,
    /// What was opened of something that is not whole.
    half: Vec<u8>,
}

impl Sealed {
    pub(in super::super) fn new(channel: Channel, line: Box<dyn Line>) -> Self {
        Self { channel, line, has_greeted: false, half: Vec::new() }
    }
}

impl Line for Sealed {
    fn greet(&mut self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.channel.seal(&[], &mut hello);
        hello
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        let mut plain = std::mem::take(&mut heard.plain);
        plain.clear();
        plain.append(&mut self.half);
        self.channel.open(bytes, &mut plain)?;
        let mut taken = 0;
        if self.channel.is_open() {
            let greeting = if self.has_greeted { Vec::new() } else { self.line.greet() };
            self.has_greeted = true;
            taken = self.line.take(&plain, heard)?;
            heard.say.splice(..0, greeting);
        }
        let say = std::mem::take(&mut heard.say);
        self.channel.seal(&say, &mut heard.say);
        self.half.extend_from_slice(&plain[taken..]);
        heard.plain = plain;
        Ok(bytes.len())
    }
}
