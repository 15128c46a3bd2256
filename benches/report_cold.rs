//! Cold hits: a fresh environment finds the report in S3, against `GetObject` alone.

use std::time::Instant;

use benches::measure::{Goal, Page, Samples};
use local_network::Profile;

use crate::{BUCKET, Bench, PEER_BUCKET, ask, get, progress, report_hits::Reader};

/// Latencies of an account vary, so there are more under it.
fn rounds(profile: Profile) -> usize {
    match profile {
        Profile::Loopback => 20,
        _ => 100,
    }
}

/// What cold hits took, and the floors under them.
#[derive(Default)]
struct Cold {
    ours: Reader,
    init: Samples,
    peer: Reader,
    kept: Samples,
    fresh: Samples,
    two: Samples,
}

/// Cold hits, each against what S3 takes for one request at the same distance.
pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("cold hits");
    bench.wipe().await?;
    let cold = turns(bench).await?;
    cold.report(
        page,
        "A cold hit",
        "A fresh environment finds the report in S3, which is moto: one Python process, which answers one request after the other. The \
         function reads the object of invalidation marks at the same time as the report. GetObject is of a client in this process, which is \
         warm itself.",
    );
    // On loopback a request takes less than the work around it.
    let goal = (bench.network.profile() != Profile::Loopback).then_some(Goal::AtMost(1.5));
    cold.against_one(page, goal);
    page.plain_ratio(
        "report-generator, inside ÷ two GetObjects at the same time",
        cold.ours.inside.median() / cold.two.median(),
    );
    cold.against_python(page);
    Ok(())
}

async fn turns(bench: &Bench) -> anyhow::Result<Cold> {
    let ours = bench.ours("cold", &[("LLM_API_KEY_PARAMETER", "")]);
    let python = bench.python("python")?;
    for (function, bucket) in [(&ours, BUCKET), (&python, PEER_BUCKET)] {
        let is_there = bench.object(bucket, "/report.json").await.is_ok();
        ask(function, if is_there { "s3" } else { "generated" }).await?;
    }
    let key = bench.object(BUCKET, "/report.json").await?.0;
    let kept = bench.far_s3().await;
    let mut cold = Cold::default();
    for _ in 0..rounds(bench.network.profile()) {
        for function in [&ours, &python] {
            function.fresh().await;
        }
        let told = ask(&ours, "s3").await?;
        cold.ours.push(&told);
        cold.init.push(told.outcome.init.unwrap_or_default());
        cold.peer.push(&ask(&python, "s3").await?);
        get(&kept, BUCKET, &key).await?;
        let began = Instant::now();
        get(&kept, BUCKET, &key).await?;
        cold.kept.push(began.elapsed());
        let fresh = bench.far_s3().await;
        let began = Instant::now();
        get(&fresh, BUCKET, &key).await?;
        cold.fresh.push(began.elapsed());
        let fresh = bench.far_s3().await;
        let began = Instant::now();
        tokio::try_join!(get(&fresh, BUCKET, &key), get(&fresh, BUCKET, &key))?;
        cold.two.push(began.elapsed());
    }
    Ok(cold)
}

impl Cold {
    fn report(&self, page: &mut Page, title: &str, how: &str) {
        page.section(title, how);
        let (ours, peer) = (&self.ours, &self.peer);
        for (name, samples) in [
            ("one GetObject, on a connection that is kept", &self.kept),
            ("one GetObject, on a fresh connection", &self.fresh),
            (
                "two of them at the same time, on fresh connections",
                &self.two,
            ),
            ("report-generator, inside the handler", &ours.inside),
            (
                "report-generator, its start (exec to first poll)",
                &self.init,
            ),
            ("report-generator, from exec to the answer", &ours.whole),
            ("Python on awslambdaric, inside the handler", &peer.inside),
            (
                "Python on awslambdaric, from start to the answer",
                &peer.whole,
            ),
        ] {
            page.figure(name, samples, "ms");
        }
    }

    /// Against one request of the same object.
    fn against_one(&self, page: &mut Page, goal: Option<Goal>) {
        for (name, floor) in [("fresh", &self.fresh), ("kept", &self.kept)] {
            let what = format!("report-generator, inside ÷ one GetObject on a {name} connection");
            let ratio = self.ours.inside.median() / floor.median();
            match goal {
                Some(goal) => page.ratio(&what, ratio, goal),
                None => page.plain_ratio(&what, ratio),
            }
        }
    }

    fn against_python(&self, page: &mut Page) {
        page.ratio(
            "Python ÷ report-generator, from start to answer",
            self.peer.whole.median() / self.ours.whole.median(),
            Goal::AtLeast(3.0),
        );
    }
}
