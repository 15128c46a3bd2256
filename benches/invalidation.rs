//! cdn-invalidator against its floors (a function that only answers; a bare `CreateInvalidation`) and against the same flow in Python; and its
//! plans beside the rules of others.

mod plan_shapes;
mod stand;

use std::{
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use benches::measure::{Goal, Page, Samples};
use cdn::{Asked, CloudFront as Client, Item, Made, Usage};
use local_aws::{
    cloudfront::{CloudFront, Distribution},
    dynamodb::{client, create_table},
    lambda::{Config, Function, Lambda},
};
use local_network::{Network, Profile, Service};
use local_servers::{dynamodb::DynamoDb, helper::workspace_root};
use serde_json::json;

use self::stand::{invoke, peak, programs, progress};

const COLD_ROUNDS: usize = 20;
const REQUESTS: usize = 200;
const FIRST: usize = 20;
/// The function's memory in `template.yaml`.
const MEMORY_MIB: u32 = 256;
const DISTRIBUTION: &str = "E2BX1E7RR7IV8R";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut page = Page::default();
    progress("planning");
    plan_shapes::measure(&mut page)?;
    measure(Profile::Loopback, &mut page).await?;
    let mut region = Page::default();
    measure(Profile::Region, &mut region).await?;
    let page = page.beside(region);
    let page = page.write(&workspace_root().join("docs/benchmarks-cdn.md"))?;
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

async fn measure(profile: Profile, page: &mut Page) -> anyhow::Result<()> {
    let bench = Bench::start(profile).await?;
    bench.cold_start(page).await?;
    bench.request(page).await
}

/// A CloudFront, a table, and who asks them.
struct Bench {
    _cloudfront: CloudFront,
    _tables: DynamoDb,
    network: Network,
    /// Where functions, and the floors, find them.
    cloudfront_url: String,
    tables_url: String,
    lambda: Lambda,
    programs: PathBuf,
}

impl Bench {
    async fn start(profile: Profile) -> anyhow::Result<Self> {
        let cloudfront = CloudFront::start().await?;
        cloudfront.set_delay(Duration::ZERO);
        cloudfront.add(Distribution::new(DISTRIBUTION, "releases").alias("releases.watchy.cloud"));
        let tables = DynamoDb::start()?;
        for table in ["invalidations", "bare"] {
            create_table(&client(&tables).await, table, &["pk", "sk"]).await?;
        }
        let mut network = Network::new(profile);
        let cloudfront_url = network
            .reach(Service::CloudFront, &cloudfront.url())
            .await?;
        let tables_url = network.reach(Service::DynamoDb, &tables.url()).await?;
        Ok(Self {
            _cloudfront: cloudfront,
            _tables: tables,
            network,
            cloudfront_url,
            tables_url,
            lambda: Lambda::start().await?,
            programs: programs()?,
        })
    }

    fn function(&self, mut config: Config) -> Arc<Function> {
        config.freeze = false;
        let config = config
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", &*self.cloudfront_url)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &*self.tables_url)
            .env("INVALIDATIONS_TABLE", "invalidations")
            .env("CACHE_BACKEND", "memory")
            .env("AWS_LAMBDA_LOG_LEVEL", "WARN");
        self.lambda.create(config)
    }

    fn contestants(&self) -> anyhow::Result<[Arc<Function>; 3]> {
        let ours = |name: &str| self.function(Config::new(name, self.programs.join(name)));
        let python = self.function(stand::python("cdn_invalidator")?);
        Ok([ours("answer-only"), ours("cdn-invalidator"), python])
    }

    async fn cold_start(&self, page: &mut Page) -> anyhow::Result<()> {
        progress("cold start");
        let profile = self.network.profile();
        let contestants = stand::cold(&self.lambda, profile, MEMORY_MIB, self.contestants()?);
        let mut samples = [const { Samples::new() }; 3];
        for round in 0..COLD_ROUNDS {
            for (function, samples) in contestants.iter().zip(&mut samples) {
                let event = json!({ "monitor": "slack", "version": format!("cold-{round}") });
                let outcome = invoke(function, &event).await?;
                samples.push(outcome.init.context("no cold start")?);
                function.fresh().await;
            }
        }
        page.section("Cold start", stand::COLD_START);
        let [floor, ours, python] = &samples;
        page.figure(
            "a function that only answers, same runtime crate and profile",
            floor,
            "ms",
        );
        page.figure("cdn-invalidator", ours, "ms");
        page.figure("Python on awslambdaric, with boto3", python, "ms");
        page.ratio(
            "cdn-invalidator ÷ answer only",
            ours.median() / floor.median(),
            Goal::AtMost(2.0),
        );
        page.ratio(
            "Python ÷ cdn-invalidator",
            python.median() / ours.median(),
            Goal::AtLeast(8.0),
        );
        Ok(())
    }

    /// One release each, by contestants in turn: its invalidation and its count.
    async fn request(&self, page: &mut Page) -> anyhow::Result<()> {
        progress("an invalidation");
        let contestants = self.contestants()?;
        let bare = self.bare().await;
        let (mut floor, mut all) = (Samples::new(), Samples::new());
        let mut samples = [const { Samples::new() }; 3];
        let mut first = [const { Samples::new() }; 3];
        let items = [Item::parse("/a")?, Item::parse("/b")?];
        let tables = local_aws::sdk_config(&self.tables_url).await;
        let tables = aws_sdk_dynamodb::Client::new(&tables);
        let usage = Usage::new(Some((tables, "bare".to_owned())));
        for round in 0..FIRST + REQUESTS {
            let began = Instant::now();
            bare.create(DISTRIBUTION, &items, &format!("bare-{round}"))
                .await?;
            let created = began.elapsed();
            self.count(&usage, (&items, round)).await?;
            if round >= FIRST {
                floor.push(created);
                all.push(began.elapsed());
            }
            for (which, function) in contestants.iter().enumerate() {
                let event = json!({ "monitor": "slack", "version": format!("{which}-{round}") });
                let outcome = invoke(function, &event).await?;
                let into = if round == 0 { &mut first } else { &mut samples };
                if let Some(into) = into.get_mut(which).filter(|_| round == 0 || round >= FIRST) {
                    into.push(outcome.duration);
                }
            }
        }
        report(page, [&floor, &all], &samples);
        let [_, ours, python] = &first;
        let ratio = python.median() / ours.median();
        page.ratio(
            "the first, Python ÷ cdn-invalidator",
            ratio,
            Goal::AtLeast(3.0),
        );
        let [_, ours, python] = &contestants;
        let memory = peak(ours).await? / peak(python).await?;
        page.ratio(
            "memory at the peak, cdn-invalidator ÷ Python",
            memory,
            Goal::AtMost(0.5),
        );
        Ok(())
    }

    /// What the function asks of the table, without it.
    async fn count(&self, usage: &Usage, (items, round): (&[Item], usize)) -> anyhow::Result<()> {
        let asked = Asked {
            distribution: DISTRIBUTION,
            items,
            order: 0,
            at: jiff::Timestamp::now(),
        };
        let month = cdn::BillingMonth::of(asked.at);
        let (latest, noted, month) = tokio::join!(
            usage.latest(&asked),
            usage.asked(&asked),
            usage.month(month)
        );
        latest?;
        noted?;
        month?;
        let made = Made {
            distribution: DISTRIBUTION.to_owned(),
            invalidation: format!("I{round}"),
            at: asked.at,
            asked: asked.at,
            items: items.to_vec(),
            order: asked.order,
            is_earlier: false,
        };
        ensure!(usage.count(&made).await?, "{round} was counted before");
        Ok(())
    }

    /// The port to CloudFront, on its own.
    async fn bare(&self) -> Client {
        Client::new(&local_aws::sdk_config(&self.cloudfront_url).await)
    }
}

/// What an invalidation took: by a bare client, with all that is asked for beside, and by three functions.
fn report(page: &mut Page, [floor, all]: [&Samples; 2], samples: &[Samples; 3]) {
    page.section(
        "A release's invalidation",
        "From the event's dispatch to the answer's arrival: one CreateInvalidation, its count and the month's in DynamoDB.",
    );
    let [answer, ours, python] = samples;
    page.figure(
        "one CreateInvalidation by a bare SDK client, no function around it",
        floor,
        "ms",
    );
    page.figure(
        "the same, with what was invalidated last, that this is asked for, and the count: five requests",
        all,
        "ms",
    );
    page.figure("a function that only answers", answer, "ms");
    page.figure("cdn-invalidator", ours, "ms");
    page.figure(
        "Python on awslambdaric, with boto3, which asks for no last one: three requests",
        python,
        "ms",
    );
    page.ratio(
        "cdn-invalidator ÷ (five requests + answer only)",
        ours.median() / (all.median() + answer.median()),
        Goal::AtMost(1.5),
    );
    page.ratio(
        "Python ÷ cdn-invalidator",
        python.median() / ours.median(),
        Goal::AtLeast(3.0),
    );
}
