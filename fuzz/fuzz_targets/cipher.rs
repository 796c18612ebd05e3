//! What clients seal: anything opens to something or to nothing, and what is sealed here opens again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msgserver_handshake::SessionCipher;
use msgserver_protocol::Cipher;

fuzz_target!(|bytes: &[u8]| {
    let cipher = SessionCipher::from_key([7; 16]);
    if cipher.open(bytes).is_some() {
        assert!(!cipher.is_part(bytes));
    }
    let mut sealed = Vec::new();
    cipher.seal(bytes, &mut sealed);
    assert!(!sealed.contains(&b'|') && !cipher.is_part(&sealed));
    assert_eq!(cipher.open(&sealed).as_deref(), Some(bytes));
});
