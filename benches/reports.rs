//! report-generator against its floors (a function that only answers; a prepared read by SQLite; a bare `GetObject`) and against
//! the same flow in Python.

mod report_cold;
mod report_costs;
mod report_hits;
mod report_hot;
mod report_requests;
mod report_stages;
mod report_turns;
mod stand;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use aws_sdk_s3::Client;
use benches::measure::Page;
use local_aws::{
    lambda::{Config, Function, Lambda, Outcome, TMP},
    moto::Moto,
    reports::Reports,
};
use local_network::{Network, Profile};
use local_servers::helper::workspace_root;
use serde_json::{Value, json};

use self::stand::{invoke, peak, programs, progress};

const TICKER: &str = "DBS19";
const AWS_URL: &str = "AWS_ENDPOINT_URL";
const SYMBOL: &str = "D05.SI";
const BUCKET: &str = "reports";
/// The peer's, whose objects are not ours.
const PEER_BUCKET: &str = "reports-python";
/// The original's model takes 50 s; here it takes a tenth.
const MODEL: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let bench = Bench::start(Profile::Loopback).await?;
    let mut page = Page::default();
    report_turns::cold_start(&bench, &mut page).await?;
    let warm = report_hits::warm(&bench, &mut page).await?;
    report_hot::measure(&bench, &mut page).await?;
    report_cold::measure(&bench, &mut page).await?;
    report_stages::measure(&bench, &mut page).await?;
    report_turns::first_use(&bench, &mut page).await?;
    report_turns::memory(&bench, &mut page).await?;
    let headline = report_turns::headline(&bench, &mut page, warm).await?;
    let calls = report_turns::twenty(&bench, &mut page).await?;
    report_costs::tables(&bench, &mut page, &headline, calls).await?;
    drop(bench);
    let page = page.beside(region().await?);
    let page = page.write(&workspace_root().join("docs/benchmarks-reports.md"))?;
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

/// Measures the sections that depend on a network, under that of an account.
async fn region() -> anyhow::Result<Page> {
    let bench = Bench::start(Profile::Region).await?;
    let mut page = Page::default();
    report_turns::cold_start(&bench, &mut page).await?;
    let warm = report_hits::warm(&bench, &mut page).await?;
    report_cold::measure(&bench, &mut page).await?;
    report_turns::first_use(&bench, &mut page).await?;
    report_turns::memory(&bench, &mut page).await?;
    report_turns::headline(&bench, &mut page, warm).await?;
    report_turns::twenty(&bench, &mut page).await?;
    Ok(page)
}

/// All that reports are made of and kept in.
struct Bench {
    moto: Moto,
    network: Network,
    /// Where functions find all of that.
    variables: BTreeMap<String, String>,
    world: Reports,
    s3: Client,
    lambda: Lambda,
    programs: PathBuf,
    /// What matplotlib finds out about fonts once.
    fonts: tempfile::TempDir,
}

impl Bench {
    async fn start(profile: Profile) -> anyhow::Result<Self> {
        let moto = Moto::start()?;
        let s3 = moto.s3().await;
        s3.create_bucket().bucket(PEER_BUCKET).send().await?;
        let world = Reports::with_bucket(&moto, BUCKET).await?;
        let mut variables: BTreeMap<_, _> = world
            .variables()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        variables.insert(AWS_URL.to_owned(), moto.url().to_owned());
        let mut network = Network::new(profile);
        Ok(Self {
            world,
            s3,
            variables: network.route(variables).await?,
            network,
            moto,
            lambda: Lambda::start().await?,
            programs: programs()?,
            fonts: tempfile::tempdir()?,
        })
    }

    fn create(&self, name: &str, config: Config, variables: &[(&str, &str)]) -> Arc<Function> {
        let mut config = config.env("CACHE_DIR", TMP);
        for (variable, value) in variables {
            config = config.env(variable, *value);
        }
        config.freeze = false;
        config.timeout = Duration::from_mins(2);
        name.clone_into(&mut config.name);
        self.lambda.create(config)
    }

    /// report-generator as it is deployed, with a model and all tiers, but for `variables`.
    fn ours(&self, name: &str, variables: &[(&str, &str)]) -> Arc<Function> {
        let program = self.programs.join("report-generator");
        let mut config = Config::new(name, program);
        config.env.extend(self.variables.clone());
        self.create(name, config, variables)
    }

    /// The same without a model: rules write.
    fn by_rules(&self, name: &str, backend: &str) -> Arc<Function> {
        let variables = [("LLM_API_KEY_PARAMETER", ""), ("CACHE_BACKEND", backend)];
        self.ours(name, &variables)
    }

    fn python(&self, name: &str) -> anyhow::Result<Arc<Function>> {
        let root = workspace_root();
        let fonts = root.join("functions/report-generator/fonts");
        let mut config = stand::python("report_generator")?
            .env("PDF_BUCKET_NAME", PEER_BUCKET)
            .env("MPLCONFIGDIR", self.fonts.path().to_string_lossy())
            .env("REPORT_FONTS", fonts.to_string_lossy());
        let theirs = |name: &str| name.starts_with(AWS_URL) || name == "MARKET_DATA_URL";
        let variables = self.variables.clone().into_iter();
        config
            .env
            .extend(variables.filter(|(name, _)| theirs(name)));
        Ok(self.create(name, config, &[]))
    }

    fn answer_only(&self) -> Arc<Function> {
        let program = self.programs.join("answer-only");
        let config = Config::new("answer-only", program);
        self.create("answer-only", config, &[])
    }

    /// A client of S3 as far away as functions have it, without any connection yet.
    async fn far_s3(&self) -> Client {
        let url = self.variables.get("AWS_ENDPOINT_URL_S3");
        let url = url.map_or(self.moto.url(), String::as_str);
        let config = self.moto.s3().await.config().to_builder();
        Client::from_conf(config.endpoint_url(url).build())
    }

    /// Empties both buckets.
    async fn wipe(&self) -> anyhow::Result<()> {
        for bucket in [BUCKET, PEER_BUCKET] {
            for key in self.objects(bucket).await? {
                let delete = self.s3.delete_object().bucket(bucket).key(key);
                delete.send().await?;
            }
        }
        Ok(())
    }

    async fn objects(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let list = self.s3.list_objects_v2().bucket(bucket).send().await?;
        let keys = list.contents().iter().filter_map(|it| it.key());
        Ok(keys.map(str::to_owned).collect())
    }

    /// The one object whose name ends like this, and its name.
    async fn object(&self, bucket: &str, end: &str) -> anyhow::Result<(String, Vec<u8>)> {
        let objects = self.objects(bucket).await?;
        let key = objects.into_iter().find(|key| key.ends_with(end));
        let key = key.with_context(|| format!("{bucket} has no {end}"))?;
        let bytes = get(&self.s3, bucket, &key).await?;
        Ok((key, bytes))
    }
}

async fn get(client: &Client, bucket: &str, key: &str) -> anyhow::Result<Vec<u8>> {
    let get = client.get_object().bucket(bucket).key(key).send().await?;
    Ok(get.body.collect().await?.to_vec())
}

/// An answer, and how long it took.
struct Told {
    outcome: Outcome,
    answer: Value,
    /// What the function says itself.
    inside: Duration,
    /// From the event's dispatch to the answer, and before it from the process's start, if it was started for it.
    whole: Duration,
    /// After the answer, until the function asks for the next event.
    after: Duration,
}

/// Asks for the report, which has to come from where `expected` says: a tier, or `generated`.
async fn ask(function: &Function, expected: &str) -> anyhow::Result<Told> {
    ask_for(function, &json!({ "ticker": TICKER }), expected).await
}

async fn ask_for(function: &Function, event: &Value, expected: &str) -> anyhow::Result<Told> {
    let began = Instant::now();
    let outcome = invoke(function, event).await?;
    let elapsed = began.elapsed();
    let answer = outcome.json()?;
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let from = text("/cache/tier").or(text("/cache/state"));
    ensure!(
        from == Some(expected),
        "{from:?} is not {expected}: {:?}",
        outcome.messages()
    );
    let inside = answer.get("duration_ms").and_then(Value::as_f64);
    let inside = Duration::try_from_secs_f64(inside.context("no duration_ms")? / 1e3)?;
    let whole = outcome.init.unwrap_or_default() + outcome.duration;
    Ok(Told {
        inside,
        whole,
        after: elapsed.saturating_sub(whole),
        outcome,
        answer,
    })
}
