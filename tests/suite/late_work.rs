//! Work after the response, on a local Lambda that freezes and ends processes as Lambda does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{create, invoke, obedient, wait_for};

/// A folder for an order of late work: the file that it waits for, and the one that it then writes.
struct Late {
    dir: tempfile::TempDir,
}

impl Late {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn order(&self) -> Value {
        json!({ "later": [self.dir.path().join("gate"), self.dir.path().join("done")] })
    }

    fn allow(&self) {
        std::fs::write(self.dir.path().join("gate"), "").unwrap();
    }

    fn is_done(&self) -> bool {
        self.dir.path().join("done").exists()
    }
}

#[tokio::test]
async fn work_after_the_response_is_done_while_the_caller_has_its_answer() {
    let function = create(obedient()).await;
    let late = Late::new();
    // The answer comes although the work cannot even begin.
    invoke(&function, late.order()).await.json().unwrap();
    assert!(!late.is_done());
    // Frozen only once it is done, and a further request waits for that.
    late.allow();
    let outcome = invoke(&function, json!({ "sleep_ms": 0 })).await;
    assert!(late.is_done());
    assert_eq!(outcome.json().unwrap()["cold_start"], false);
}

#[tokio::test]
async fn work_after_the_response_ends_with_the_invocations_time() {
    let mut config = obedient();
    config.timeout = Duration::from_secs(1);
    let function = create(config).await;
    let late = Late::new();
    let first = invoke(&function, late.order()).await;
    let next = invoke(&function, json!({ "sleep_ms": 0 })).await;
    assert_eq!(
        next.json().unwrap()["cold_start"],
        false,
        "the process gave up in time to live"
    );
    assert!(
        [first.messages(), next.messages()]
            .concat()
            .iter()
            .any(|line| line.contains("was dropped")),
        "{first:?}, then {next:?}"
    );
    assert!(!late.is_done());
}

#[tokio::test]
async fn sigterm_ends_a_function_in_good_order_with_its_late_work_done() {
    let mut config = obedient();
    config.freeze = false;
    let function = create(config).await;
    let late = Late::new();
    invoke(&function, late.order()).await;
    late.allow();
    function.fresh().await;
    assert!(late.is_done());
}

#[tokio::test]
async fn with_concurrency_late_work_runs_beside_the_next_invocations() {
    let mut config = obedient();
    config.concurrency = 3;
    let function = create(config).await;
    let late = Late::new();
    invoke(&function, late.order()).await;
    late.allow();
    wait_for("the work after the response", || late.is_done()).await;
}
