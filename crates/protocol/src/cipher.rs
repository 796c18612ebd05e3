//! What an encrypted connection does with its bytes.

/// Turns what a session sends into what its wire carries, and back.
///
/// One value serves one connection for its whole life. It is called under the session's lock, so it must
/// not wait for anything.
pub trait Cipher: Send + Sync {
    /// Appends the sealed form of `plain` to `out`. The sealed form must not contain the byte `|`: under
    /// the default protocol that byte ends a frame.
    fn seal(&self, plain: &[u8], out: &mut Vec<u8>);

    /// The plain form of `sealed`, or nothing if it was not sealed under this key.
    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>>;

    /// Whether `sealed` can be nothing but the beginning of a sealed form. A client that has paused there
    /// has not ended: its network has.
    fn is_part(&self, sealed: &[u8]) -> bool {
        let _ = sealed;
        false
    }
}
