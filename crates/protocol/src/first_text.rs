//! The one text that a client of the first msgserver says.

/// Bytes that may stand before a sealed text: the ends of what came before it, and keepalives.
const DELIMITERS: &[u8] = b"|\0\r\n";

/// Collects the authentication text of the default protocol.
///
/// It ends at the first `|`. Old clients may send none: then what has come counts once the client has
/// paused, which only the caller's clock can tell; it calls [`FirstText::paused`].
#[derive(Debug)]
pub struct FirstText {
    seen: Vec<u8>,
    /// How much was passed over.
    dropped: usize,
    limit: usize,
    sealed: bool,
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
        Self { seen: Vec::new(), dropped: 0, limit, sealed: false }
    }

    /// For a text under a [`Cipher`](crate::Cipher), which is base64: the delimiters `|`, NUL, CR and LF
    /// before it are passed over, and so are NUL, CR and LF inside it. Clients send them behind the
    /// handshake, and TCP may bring them in a segment of their own.
    ///
    /// Allows `limit` bytes before they are sealed, and what sealing adds to them.
    #[must_use]
    pub const fn sealed(limit: usize) -> Self {
        // Padded to the next whole block of 16 bytes; 4 characters for 3 bytes; a line break every 76.
        let characters = (limit / 16 + 1) * 16 * 4 / 3 + 4;
        Self { seen: Vec::new(), dropped: 0, limit: characters + characters / 32 + 2, sealed: true }
    }

    /// Takes what came; gives the text once it is whole.
    ///
    /// # Errors
    /// [`TextTooLong`] if it is over the limit without having ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, TextTooLong> {
        for &byte in bytes {
            let passed_over =
                self.sealed && DELIMITERS.contains(&byte) && (byte != b'|' || self.seen.is_empty());
            if passed_over {
                self.dropped += 1;
            } else if byte == b'|' {
                return Ok(Some(std::mem::take(&mut self.seen)));
            } else {
                self.seen.push(byte);
            }
            if self.seen.len() + self.dropped > self.limit {
                return Err(TextTooLong { limit: self.limit });
            }
        }
        Ok(None)
    }

    /// The text of a client that has paused, without the line end that a person's terminal sends; nothing
    /// if nothing has come yet.
    #[must_use]
    pub fn paused(&self) -> Option<Vec<u8>> {
        let text = self.seen.trim_ascii_end();
        (!text.is_empty()).then(|| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(FirstText::new(4).feed(b"1234|and much more").unwrap().as_deref(), Some(&b"1234"[..]));
    }

    #[test]
    fn in_the_clear_a_bar_alone_is_an_empty_text() {
        assert_eq!(FirstText::new(4).feed(b"|").unwrap().as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_is_allowed_in_the_clear_is_allowed_sealed() {
        for limit in [1, 15, 16, 17, 4096] {
            let sealed = (limit / 16 + 1) * 16usize;
            let characters = sealed.div_ceil(3) * 4;
            let with_breaks = characters + characters.div_ceil(76) * 2;
            let mut first = FirstText::sealed(limit);
            assert_eq!(first.feed(&vec![b'A'; characters]).unwrap(), None, "{limit}");
            assert!(with_breaks <= first.limit, "{limit}");
            assert!(first.feed(&vec![b'A'; characters]).is_err(), "{limit}");
        }
        assert!(FirstText::sealed(4).feed(&[0; 100]).is_err(), "delimiters without end");
    }

    proptest! {
        #[test]
        fn delimiters_before_a_sealed_text_are_passed_over_however_they_are_cut(
            stray in "[|\0\r\n]{0,6}",
            text in "[A-Za-z0-9+/]{4,40}",
            cuts in prop::collection::vec(1usize..8, 1..60),
            bar: bool,
        ) {
            let wire = format!("{stray}{text}{}", if bar { "|" } else { "" });
            let (mut first, mut rest, mut ended) = (FirstText::sealed(64), wire.as_bytes(), None);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, left) = rest.split_at(rest.len().min(*cut));
                ended = first.feed(part).unwrap();
                rest = left;
            }
            prop_assert_eq!(ended.is_some(), bar);
            prop_assert_eq!(ended.or(first.paused()), Some(text.into_bytes()));
        }
    }
}
