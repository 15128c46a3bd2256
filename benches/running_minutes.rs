//! runtime-calculator and runtime-events against their floors (a function that only answers; a bare `GetItem`) and against the same flow in
//! Python.

mod first_read;
mod fold;
mod stand;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::{
    Client,
    types::AttributeValue::{N, S},
};
use benches::measure::{Goal, Page, Samples};
use jiff::{SignedDuration, Timestamp};
use local_aws::{
    cloud::Cloud,
    cloudtrail::CloudTrail,
    dynamodb::{client, create_table},
    ec2::Ec2,
    fleet::{Change, Fleet},
    lambda::{Config, Function, Lambda},
};
use local_network::{Network, Profile};
use local_servers::{dynamodb::DynamoDb, helper::workspace_root};
use serde_json::{Value, json};

use self::stand::{invoke, peak, programs, progress};

const COLD_ROUNDS: usize = 20;
const READS: usize = 300;
const FIRST: usize = 20;
const SAMPLE: &str = "i-0a1b2c3d4e5f60718";
const REGION: &str = "us-east-1";
/// The functions' memory in `template.yaml`.
const MEMORY_MIB: u32 = 256;
const DYNAMODB_URL: &str = "AWS_ENDPOINT_URL_DYNAMODB";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut page = measured(Profile::Loopback).await?;
    fold::measure(&mut page)?;
    let page = page.beside(measured(Profile::Region).await?);
    let page = page.write(&workspace_root().join("docs/benchmarks-minutes.md"))?;
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

async fn measured(profile: Profile) -> anyhow::Result<Page> {
    let mut page = Page::default();
    let bench = Bench::start(profile).await?;
    bench.cold_start(&mut page).await?;
    bench.read(&mut page).await?;
    first_read::measure(&bench, &mut page).await?;
    by_the_hour(profile, &mut page).await?;
    Ok(page)
}

/// Servers, and all that tells of them.
struct Bench {
    cloud: Cloud,
    trail: CloudTrail,
    ec2: Ec2,
    _server: DynamoDb,
    /// Direct, for what is no part of a measurement.
    tables: Client,
    /// Through the network, as functions ask.
    far_tables: Client,
    network: Network,
    /// The endpoints of functions.
    endpoints: BTreeMap<String, String>,
    lambda: Lambda,
    programs: PathBuf,
}

impl Bench {
    async fn start(profile: Profile) -> anyhow::Result<Self> {
        let cloud = Cloud::new();
        let server = DynamoDb::start()?;
        let tables = client(&server).await;
        create_table(&tables, "servers", &["id"]).await?;
        create_table(&tables, "runtime-ledger", &["pk", "sk"]).await?;
        let trail = CloudTrail::start(cloud.clone()).await?;
        let ec2 = Ec2::start(cloud.clone()).await?;
        let mut network = Network::new(profile);
        let endpoints = [
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", trail.url()),
            ("AWS_ENDPOINT_URL_EC2", ec2.url()),
            (DYNAMODB_URL, server.url()),
        ];
        let endpoints = endpoints.map(|(name, url)| (name.to_owned(), url));
        let endpoints = network.route(BTreeMap::from(endpoints)).await?;
        let far = endpoints.get(DYNAMODB_URL).context("no endpoint")?;
        Ok(Self {
            trail,
            ec2,
            cloud,
            _server: server,
            far_tables: Client::new(&local_aws::sdk_config(far).await),
            tables,
            network,
            endpoints,
            lambda: Lambda::start().await?,
            programs: programs()?,
        })
    }

    fn function(&self, name: &str, command: Config, variables: &[(&str, &str)]) -> Arc<Function> {
        let mut config = command;
        config.env.extend(self.endpoints.clone());
        for (variable, value) in variables {
            config = config.env(variable, *value);
        }
        config.freeze = false;
        config.timeout = Duration::from_mins(5);
        name.clone_into(&mut config.name);
        self.lambda.create(config)
    }

    fn ours(&self, name: &str, variables: &[(&str, &str)]) -> Arc<Function> {
        let config = Config::new(name, self.programs.join(name));
        let name = format!("{name}-{}", variables.len());
        self.function(&name, config, variables)
    }

    fn python(&self) -> anyhow::Result<Arc<Function>> {
        let config = stand::python("running_minutes")?;
        Ok(self.function("python", config, &[]))
    }

    async fn cold_start(&self, page: &mut Page) -> anyhow::Result<()> {
        progress("cold start");
        let names = [
            "a function that only answers, same runtime crate and profile",
            "runtime-events",
            "runtime-calculator",
            "Python on awslambdaric, with boto3",
        ];
        let contestants = [
            self.ours("answer-only", &[]),
            self.ours("runtime-events", &[("CACHE_BACKEND", "memory")]),
            self.ours("runtime-calculator", &[]),
            self.python()?,
        ];
        let profile = self.network.profile();
        let contestants = stand::cold(&self.lambda, profile, MEMORY_MIB, contestants);
        self.cache("7").await?;
        let mut samples = [const { Samples::new() }; 4];
        for _ in 0..COLD_ROUNDS {
            for (function, samples) in contestants.iter().zip(&mut samples) {
                let outcome = function
                    .invoke(json!({ "instance_id": "-" }).to_string())
                    .await?;
                samples.push(outcome.init.context("no cold start")?);
                function.fresh().await;
            }
        }
        page.section("Cold start", stand::COLD_START);
        for (name, samples) in names.iter().zip(&samples) {
            page.figure(name, samples, "ms");
        }
        let [floor, events, calculator, python] = samples.map(|samples| samples.median());
        page.ratio(
            "runtime-events ÷ answer only",
            events / floor,
            Goal::AtMost(2.0),
        );
        page.ratio(
            "runtime-calculator ÷ answer only",
            calculator / floor,
            Goal::AtMost(2.0),
        );
        page.ratio(
            "Python ÷ runtime-events",
            python / events,
            Goal::AtLeast(8.0),
        );
        Ok(())
    }

    async fn cache(&self, minutes: &str) -> anyhow::Result<()> {
        let now = format!("{:.0}", Timestamp::now());
        let put = self.tables.put_item().table_name("servers");
        let put = put.item("id", S(SAMPLE.to_owned()));
        let put = put.item("runningMinutesCache", N(minutes.to_owned()));
        put.item("runningMinutesCacheTimestamp", S(now))
            .send()
            .await?;
        Ok(())
    }

    /// Reads of cached minutes, by contestants in turn.
    async fn read(&self, page: &mut Page) -> anyhow::Result<()> {
        progress("cached read");
        self.cache("1234.56").await?;
        let functions = [
            self.ours("runtime-events", &[("CACHE_ENABLED", "false")]),
            self.ours(
                "runtime-events",
                &[("CACHE_BACKEND", "memory"), ("CACHE_TTL_DEFAULT", "3600")],
            ),
            self.python()?,
            self.ours("answer-only", &[]),
        ];
        let mut reads = Reads::default();
        let event = json!({ "instance_id": SAMPLE });
        for round in 0..FIRST + READS {
            let began = Instant::now();
            let get = self.far_tables.get_item().table_name("servers");
            let get = get.key("id", S(SAMPLE.to_owned()));
            ensure!(get.send().await?.item.is_some(), "the item is missing");
            if round >= FIRST {
                reads.floor.push(began.elapsed());
            }
            let of = reads.of.iter_mut().zip(&mut reads.first);
            for (function, (samples, first)) in functions.iter().zip(of) {
                let outcome = invoke(function, &event).await?;
                if round == 0 {
                    first.push(outcome.duration);
                } else if round >= FIRST {
                    samples.push(outcome.duration);
                }
            }
        }
        for (function, memory) in functions.iter().zip(&mut reads.memory) {
            *memory = peak(function).await?;
        }
        reads.report(page);
        Ok(())
    }

    /// A fleet of `servers`, of which ten have had the same events whatever that is.
    fn fleet(&self, servers: usize, now: Timestamp) {
        let mut fleet = Fleet::new(REGION);
        let ids: Vec<_> = (0..servers).map(|n| format!("i-{n:08x}")).collect();
        for id in &ids {
            fleet.add(id, &[("App", "minecraft")]);
        }
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let day = |days: i64| now - SignedDuration::from_hours(24 * days);
        fleet.change(day(40), Change::Launch, &ids);
        for (n, id) in ids.iter().take(10).enumerate() {
            let minutes = SignedDuration::from_mins(i64::try_from(n).unwrap_or_default());
            for days in (1..20).rev() {
                fleet.change(day(days) + minutes, Change::Stop, &[id]);
                fleet.change(
                    day(days) + minutes + SignedDuration::from_hours(8),
                    Change::Start,
                    &[id],
                );
            }
        }
        self.cloud.set(fleet);
    }
}

/// What reads took: with a `GetItem`, in memory, in Python, and by a function that only answers.
#[derive(Default)]
struct Reads {
    floor: Samples,
    of: [Samples; 4],
    first: [Samples; 4],
    memory: [f64; 4],
}

impl Reads {
    fn report(&self, page: &mut Page) {
        let [table, cached, python, answer] = &self.of;
        page.section(
            "A read of cached minutes",
            "From the event's dispatch to the answer's arrival.",
        );
        let floor = "one GetItem by a bare SDK client, no function around it";
        page.figure(floor, &self.floor, "ms");
        page.figure("a function that only answers", answer, "ms");
        page.figure("runtime-events, one GetItem a read", table, "ms");
        page.figure("runtime-events, in memory", cached, "ms");
        page.figure("Python on awslambdaric, with boto3", python, "ms");
        let both = self.floor.median() + answer.median();
        page.ratio(
            "runtime-events with a GetItem ÷ (GetItem + answer only)",
            table.median() / both,
            Goal::AtMost(1.5),
        );
        page.ratio(
            "Python ÷ runtime-events with a GetItem",
            python.median() / table.median(),
            Goal::AtLeast(3.0),
        );
        let [ours, _, peer, _] = &self.first;
        page.ratio(
            "the first read, Python ÷ runtime-events",
            peer.median() / ours.median(),
            Goal::AtLeast(3.0),
        );
        let [ours, _, peer, _] = self.memory;
        page.ratio(
            "memory at the peak, runtime-events ÷ Python",
            ours / peer,
            Goal::AtMost(0.5),
        );
    }
}

/// Hourly runs over fleets of several sizes with the same events.
async fn by_the_hour(profile: Profile, page: &mut Page) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut lookups = Vec::new();
    for servers in [10, 1_000, 10_000] {
        progress(&format!("an hourly run of {servers} servers"));
        let bench = Bench::start(profile).await?;
        bench.fleet(servers, Timestamp::now());
        let function = bench.ours("runtime-calculator", &[("AWS_LAMBDA_LOG_LEVEL", "WARN")]);
        let first = run(&bench, &function).await?;
        let second = run(&bench, &function).await?;
        ensure!(
            second.processed == u64::try_from(servers)?,
            "{} of {servers}",
            second.processed
        );
        lookups.push(second.lookups);
        rows.push(vec![
            servers.to_string(),
            format!("{}, {:.1} s", first.lookups, first.took.as_secs_f64()),
            second.lookups.to_string(),
            second.describes.to_string(),
            format!("{:.1} s", second.took.as_secs_f64()),
            format!("{:.0} MiB", peak(&function).await?),
        ]);
    }
    page.table(
        "An hourly run",
        "The same events at all sizes; CloudTrail answers two requests a second, of which 2.1 s come. DynamoDB is on the same two cores.",
        &["servers", "first run: look-ups, time", "LookupEvents", "DescribeInstances", "time", "memory at the peak"],
        &rows,
    );
    let same = lookups.windows(2).all(|pair| pair.first() == pair.last());
    page.note(if same {
        "The number of look-ups is the same: **met**. Goals for 10,000 servers: 60 s, 128 MB."
    } else {
        "The number of look-ups is not the same: **missed**."
    });
    Ok(())
}

/// One run of the calculator.
struct Run {
    took: Duration,
    processed: u64,
    lookups: usize,
    describes: usize,
}

async fn run(bench: &Bench, function: &Function) -> anyhow::Result<Run> {
    let (lookups, describes) = (bench.trail.answered(), bench.ec2.answered());
    let outcome = invoke(function, &json!({})).await?;
    let answer = outcome.json()?;
    let body = answer
        .get("body")
        .and_then(Value::as_str)
        .context("no body")?;
    let body: Value = serde_json::from_str(body)?;
    Ok(Run {
        took: outcome.duration,
        processed: body
            .get("processed")
            .and_then(Value::as_u64)
            .context("no count")?,
        lookups: bench.trail.answered() - lookups,
        describes: bench.ec2.answered() - describes,
    })
}
