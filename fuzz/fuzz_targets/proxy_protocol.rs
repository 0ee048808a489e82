#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ringway::front::proxy_protocol::fuzz(data));
