//! A monitor's output: whatever it prints, what is found is an object that it printed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|stdout: &[u8]| {
    if let Some(result) = monitor_runner::find_result(stdout, stdout.len() % 2 == 0) {
        assert!(result.is_object());
    }
});
