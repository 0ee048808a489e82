#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::h1::fuzz::request_head(data));
