//! See `foxden_custody::fuzzing::escrows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| foxden_custody::fuzzing::escrows(input));
