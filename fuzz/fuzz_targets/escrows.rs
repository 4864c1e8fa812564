//! See `foxden_ledger::fuzzing::escrows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| foxden_ledger::fuzzing::escrows(input));
