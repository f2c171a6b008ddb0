#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gwlb_geneve_fuzz::signatures::check(bytes);
});
