//! See `foxden_intake::fuzzing::events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| foxden_intake::fuzzing::events(input));
