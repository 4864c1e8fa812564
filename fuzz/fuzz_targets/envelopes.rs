//! See `foxden_vault::fuzzing::envelopes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| foxden_vault::fuzzing::envelopes(input));
