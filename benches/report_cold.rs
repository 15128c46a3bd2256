//! Cold hits: a fresh environment finds the report in S3, against `GetObject` alone.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use benches::measure::{Goal, Page, Samples};

use crate::{
    BUCKET, Bench, PEER_BUCKET, ask, get, progress, report_hits::Reader, report_requests::Door,
};

const COLD_ROUNDS: usize = 20;
/// How far away S3 is, at the least.
const AWAY: Duration = Duration::from_millis(20);

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

/// Cold hits, of moto and of a bucket that is as far away as S3.
pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("cold hits");
    bench.wipe().await?;
    let near = turns(bench, bench.moto.url()).await?;
    near.report(
        page,
        "A cold hit",
        "A fresh environment finds the report in S3, which is moto on loopback: one Python process, which answers one request after the \
         other. The function reads the object of invalidation marks at the same time as the report. GetObject is of a client in this \
         process, which is warm itself.",
    );
    near.against_one(page, None);
    page.plain_ratio(
        "report-generator, inside ÷ two GetObjects at the same time",
        near.ours.inside.median() / near.two.median(),
    );
    near.against_python(page);
    progress("cold hits, S3 away");
    let door = Door::to(bench.moto.url(), AWAY).await?;
    let far = turns(bench, &door.url()).await?;
    far.report(
        page,
        "A cold hit, S3 as far away as it is",
        "The same with every request, those of GetObject alone, too, held up for 20 ms on its way, each by itself: S3 takes that or \
         more for its first byte, and answers all at the same time.",
    );
    far.against_one(page, Some(Goal::AtMost(1.5)));
    far.against_python(page);
    Ok(())
}

async fn turns(bench: &Bench, s3: &str) -> anyhow::Result<Cold> {
    let variables = [("LLM_API_KEY_PARAMETER", ""), ("AWS_ENDPOINT_URL", s3)];
    let ours = bench.ours("cold", &variables);
    let python = bench.python_at("python", s3)?;
    for (function, bucket) in [(&ours, BUCKET), (&python, PEER_BUCKET)] {
        let is_there = bench.object(bucket, "/report.json").await.is_ok();
        ask(function, if is_there { "s3" } else { "generated" }).await?;
    }
    let key = bench.object(BUCKET, "/report.json").await?.0;
    let kept = client(bench, s3).await;
    let mut cold = Cold::default();
    for _ in 0..COLD_ROUNDS {
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
        let fresh = client(bench, s3).await;
        let began = Instant::now();
        get(&fresh, BUCKET, &key).await?;
        cold.fresh.push(began.elapsed());
        let fresh = client(bench, s3).await;
        let began = Instant::now();
        tokio::try_join!(get(&fresh, BUCKET, &key), get(&fresh, BUCKET, &key))?;
        cold.two.push(began.elapsed());
    }
    Ok(cold)
}

/// One without any connection yet.
async fn client(bench: &Bench, s3: &str) -> Client {
    let config = bench.moto.s3().await.config().to_builder();
    Client::from_conf(config.endpoint_url(s3).build())
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
