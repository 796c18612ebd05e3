//! The bodies of the HTTP API's publications.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    msgserver_http_api::fuzz::publications(body);
});
