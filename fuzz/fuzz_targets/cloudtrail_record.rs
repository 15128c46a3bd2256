//! A record of CloudTrail's, read as from somebody who may have had a part in it: refused, or transitions of real ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_ledger::{InstanceId, Observation, Timeline, parse_record};

fuzz_target!(|record: &str| {
    let resources: Vec<InstanceId> = ["i-0000000a"].iter().filter_map(|id| id.parse().ok()).collect();
    let Ok(transitions) = parse_record(record, &resources) else {
        return;
    };
    let mut observations: Vec<Observation> = transitions.iter().map(|it| it.observed).collect();
    let now = observations.iter().map(|it| it.at).max().unwrap_or_default();
    let timeline = Timeline::fold(&mut observations, now);
    let spans = timeline.spans();
    assert!(spans.iter().all(|span| span.from < span.until));
    assert!(spans.iter().zip(spans.iter().skip(1)).all(|(a, b)| a.until <= b.from));
});
