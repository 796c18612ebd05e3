//! The one text that a client of the first msgserver says.

/// Collects the authentication text of the default protocol.
///
/// It ends at the first `|`. Old clients may send none: then what has come counts once the client has
/// paused, which only the caller's clock can tell; it calls [`FirstText::paused`].
#[derive(Debug)]
pub struct FirstText {
    seen: Vec<u8>,
    limit: usize,
}

/// The text is longer than allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an authentication text may be {limit} bytes long")]
pub struct TextTooLong {
    /// What is allowed.
    pub limit: usize,
}

impl FirstText {
    /// Allows a text of `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { seen: Vec::new(), limit }
    }

    /// Takes what came; gives the text once it is whole.
    ///
    /// # Errors
    /// [`TextTooLong`] if it is over the limit without having ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, TextTooLong> {
        self.seen.extend_from_slice(bytes);
        let end = self.seen.iter().position(|&byte| byte == b'|');
        if end.unwrap_or(self.seen.len()) > self.limit {
            return Err(TextTooLong { limit: self.limit });
        }
        Ok(end.map(|end| {
            let mut text = std::mem::take(&mut self.seen);
            text.truncate(end);
            text
        }))
    }

    /// The text of a client that has paused, without the line end that a person's terminal sends; nothing
    /// if nothing has come yet.
    pub fn paused(&mut self) -> Option<Vec<u8>> {
        let text = self.seen.trim_ascii_end();
        (!text.is_empty()).then(|| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_ends_at_the_first_bar_however_it_comes() {
        for step in 1..14 {
            let mut first = FirstText::new(64);
            let text = b"ada;secret|rest".chunks(step).find_map(|part| first.feed(part).unwrap());
            assert_eq!(text.as_deref(), Some(&b"ada;secret"[..]), "in steps of {step}");
        }
    }

    #[test]
    fn without_a_bar_a_pause_ends_it() {
        let mut first = FirstText::new(64);
        assert_eq!(first.paused(), None);
        assert_eq!(first.feed(b"ada;").unwrap(), None);
        assert_eq!(first.feed(b"secret\r\n").unwrap(), None);
        assert_eq!(first.paused().as_deref(), Some(&b"ada;secret"[..]));
    }

    #[test]
    fn a_text_without_end_is_refused_at_the_limit() {
        let mut first = FirstText::new(4);
        assert_eq!(first.feed(b"1234").unwrap(), None);
        assert_eq!(first.feed(b"5"), Err(TextTooLong { limit: 4 }));
        assert!(FirstText::new(4).feed(b"12345|").is_err());
    }
}
