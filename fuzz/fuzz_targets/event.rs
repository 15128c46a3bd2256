//! An event of any function: refused, or names and ids that are fit for a path, a URL and a key.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(monitor_runner::Event::Monitors(names)) = serde_json::from_slice(json) {
        assert!((1..=64).contains(&names.len()));
        for name in names {
            let name = name.as_str();
            assert!(!name.is_empty() && name.len() <= 64);
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
    if let Ok(event) = serde_json::from_slice::<runtime_calculator::Event>(json) {
        assert!(event.instances.len() <= 200);
    }
    if let Ok(event) = serde_json::from_slice(json) {
        match event {
            runtime_events::Event::Changed(change) => {
                assert!(!change.id.contains('#') && !change.region.contains('#'));
            }
            runtime_events::Event::History { from, to, .. } => assert!(from.to(to).count() <= 14),
            runtime_events::Event::Read(_) | runtime_events::Event::Warm => {}
        }
    }
    if let Ok(report_generator::Event::Report(ask)) = serde_json::from_slice(json) {
        let ticker = ask.ticker.as_str();
        assert!((1..=15).contains(&ticker.len()) && !ticker.contains(['/', '%', ':']) && ticker != "..");
    }
    if let Ok(event) = serde_json::from_slice(json) {
        match event {
            cdn_invalidator::Event::Direct(direct) => check_direct(&direct),
            cdn_invalidator::Event::Status(status) => {
                let ids = status.distribution + &status.invalidation;
                assert!(ids.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            }
            cdn_invalidator::Event::Object(object) => assert!(object.key.len() <= 1_024),
            cdn_invalidator::Event::Batch(messages) => assert!(messages.len() <= 10_000),
        }
    }
});

fn check_direct(direct: &cdn_invalidator::Direct) {
    match &direct.what {
        cdn_invalidator::What::Monitor(name) => assert!(!name.contains(['/', '.', '%'])),
        cdn_invalidator::What::Paths { domain, items } => {
            assert!(!domain.as_str().contains(['/', ':', '%']));
            assert!((1..=3_015).contains(&items.len()));
        }
        cdn_invalidator::What::Templates => {}
    }
}
