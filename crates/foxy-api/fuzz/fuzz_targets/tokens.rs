//! See `foxy_api::fuzzing::tokens`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| foxy_api::fuzzing::tokens(input));
