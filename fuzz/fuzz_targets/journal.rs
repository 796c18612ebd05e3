//! A journal of the store on disk: whatever stands in it is read, named as lost, or dropped at the end.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    msgserver_persistence::fuzz::journal(bytes);
});
