#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| keryx_layer2::fuzz::router_message(octets, std::time::Instant::now()));
