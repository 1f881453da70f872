#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| keryx_membership::fuzz::members(octets, std::time::Instant::now()));
