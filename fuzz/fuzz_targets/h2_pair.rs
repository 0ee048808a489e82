#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::h2::fuzz::pair(data));
