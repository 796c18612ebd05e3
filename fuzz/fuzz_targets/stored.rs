//! A message as stores keep it: what is read can be written, and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    msgserver_persistence::fuzz::stored_message(bytes);
});
