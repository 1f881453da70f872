#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| keryx_bgp::fuzz::notification(octets));
