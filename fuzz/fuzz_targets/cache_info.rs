//! The cache-info file, as another program or a torn write may have left it.
#![no_main]

use larder_artifact::CacheInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(info) = CacheInfo::parse(json) {
        let written = serde_json::to_vec(&info).unwrap();
        assert_eq!(CacheInfo::parse(&written).unwrap(), info, "what is read can be written and read again");
    }
});
