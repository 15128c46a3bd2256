//! What running minutes are tested on: fleets whose truth is known, the CloudTrail and the EC2 that tell of them, and
//! a DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::AttributeValue::{self, N, S},
};
use aws_types::{
    SdkConfig,
    region::Region,
    sdk_config::SharedCredentialsProvider,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use jiff::{Timestamp, tz::TimeZone};
use larder_lambda::Deadline;
use local_aws::{
    cloud::Cloud, cloudtrail::CloudTrail, dynamodb, ec2::Ec2, fleet::Fleet, lambda::Config,
};
use local_servers::dynamodb::DynamoDb;
use runtime_calculator::{App, Counts, Event};
use runtime_ledger::{
    Month,
    ledger::{Ledger, MonthTotal},
};
use serde_json::{Value, json};

use crate::world::program;

pub(crate) const REGION: &str = "us-east-1";

pub(crate) struct Minutes {
    pub(crate) cloud: Cloud,
    pub(crate) trail: CloudTrail,
    pub(crate) ec2: Ec2,
    pub(crate) tables: Client,
    pub(crate) server: DynamoDb,
}

#[derive(Debug)]
struct Endpoints(HashMap<String, String>);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let is_endpoint = key.env() == "AWS_ENDPOINT_URL";
        self.0
            .get(key.service_id())
            .filter(|_| is_endpoint)
            .cloned()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn hours(count: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_hours(count)
}

impl Minutes {
    pub(crate) async fn new() -> Self {
        let cloud = Cloud::new();
        let server = DynamoDb::start().unwrap();
        let tables = dynamodb::client(&server).await;
        dynamodb::create_table(&tables, "servers", &["id"])
            .await
            .unwrap();
        dynamodb::create_table(&tables, "runtime-ledger", &["pk", "sk"])
            .await
            .unwrap();
        Self {
            trail: CloudTrail::start(cloud.clone()).await.unwrap(),
            ec2: Ec2::start(cloud.clone()).await.unwrap(),
            cloud,
            tables,
            server,
        }
    }

    fn endpoints(&self) -> [(&'static str, String); 3] {
        [
            ("CloudTrail", self.trail.url()),
            ("EC2", self.ec2.url()),
            ("DynamoDB", self.server.url()),
        ]
    }

    /// A program of this workspace as it is deployed.
    pub(crate) fn function(&self, name: &str) -> Config {
        let config = Config::new(name, program(name));
        self.endpoints()
            .into_iter()
            .fold(config, |config, (service, url)| {
                config.env(&format!("AWS_ENDPOINT_URL_{}", service.to_uppercase()), url)
            })
    }

    /// The AWS configuration of a function that runs in this process, so that it can be told what time it is.
    pub(crate) fn aws(&self) -> SdkConfig {
        aws_of(self.endpoints(), ("local", "local"))
    }

    /// runtime-calculator with these settings.
    pub(crate) fn calculator(&self, settings: &[(&str, &str)]) -> App {
        let config = runtime_calculator::Config::from_lookup(lookup(settings)).unwrap();
        App::new(config, &self.aws()).unwrap()
    }

    /// runtime-events with these settings, and a cache in memory.
    pub(crate) fn events(&self, settings: &[(&str, &str)]) -> runtime_events::App {
        let settings = [settings, &[("CACHE_BACKEND", "memory")]].concat();
        let config = runtime_events::Config::from_lookup(lookup(&settings)).unwrap();
        runtime_events::App::new(config, &self.aws()).unwrap()
    }

    /// Runs it once an hour has come.
    pub(crate) async fn run(&self, app: &App, now: Timestamp) -> Counts {
        self.cloud.set_now(now);
        let deadline = Deadline::after(std::time::Duration::from_mins(5));
        app.calculate(&Event::default(), now, &deadline)
            .await
            .unwrap()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.tables.clone(), "runtime-ledger")
    }

    /// The total of a server in a month of UTC.
    pub(crate) async fn total(&self, id: &str, month: &str) -> Option<MonthTotal> {
        let month: Month = month.parse().unwrap();
        let id = id.parse().unwrap();
        let totals = self.ledger().history(&id, (month, month)).await.unwrap();
        totals.into_iter().next()
    }

    /// A server's item in the servers' table, as JSON.
    pub(crate) async fn item(&self, id: &str) -> Value {
        let get = self
            .tables
            .get_item()
            .table_name("servers")
            .key("id", S(id.to_owned()));
        let item = get.send().await.unwrap().item;
        let item = item.unwrap_or_default().into_iter();
        item.map(|(name, value)| (name, plain(&value))).collect()
    }

    /// Puts a server's item into the servers' table.
    pub(crate) async fn put(&self, id: &str, fields: &[(&str, AttributeValue)]) {
        let mut put = self
            .tables
            .put_item()
            .table_name("servers")
            .item("id", S(id.to_owned()));
        for (name, value) in fields {
            put = put.item(*name, value.clone());
        }
        put.send().await.unwrap();
    }

    /// Holds the ledger and the servers' table against the truth as of `now`, in UTC.
    pub(crate) async fn check(&self, fleet: &Fleet, now: Timestamp) {
        let month = Month::of(now, &TimeZone::UTC);
        for server in fleet.servers().filter(|server| server.is_described(now)) {
            let total = self.total(&server.id, &month.to_string()).await;
            let total = total.unwrap_or_else(|| panic!("{} has no total", server.id));
            let truth = server.ran(month.start(&TimeZone::UTC), now);
            let said = format!("{}: {truth} s in truth at {now}, {total:?}", server.id);
            let (lower, upper) = (
                total.total.seconds,
                total.total.seconds + total.total.doubtful,
            );
            assert!((lower - 1..=upper + 1).contains(&truth), "{said}");
            let item = self.item(&server.id).await;
            assert_eq!(
                item["runningMinutesCache"],
                json!(total.total.minutes().as_f64()),
                "{said}"
            );
            assert_eq!(
                item["runningMinutesCacheTimestamp"],
                format!("{now:.0}"),
                "{said}"
            );
        }
    }
}

/// A configuration with an endpoint for each service, and these credentials.
pub(crate) fn aws_of<const N: usize>(
    endpoints: [(&str, String); N],
    (key, secret): (&str, &str),
) -> SdkConfig {
    let credentials = aws_sdk_dynamodb::config::Credentials::new(key, secret, None, None, "tests");
    let endpoints = endpoints.map(|(service, url)| (service.to_owned(), url));
    SdkConfig::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(aws_sdk_dynamodb::config::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .service_config(Endpoints(endpoints.into()))
        .build()
}

fn lookup(settings: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let settings: HashMap<_, _> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| settings.get(name).cloned()
}

/// An attribute's value as JSON.
fn plain(value: &AttributeValue) -> Value {
    match value {
        S(text) => json!(text),
        N(number) => json!(number.parse::<f64>().unwrap()),
        other => json!(format!("{other:?}")),
    }
}

/// A fleet with one server that was launched at `at`.
pub(crate) fn one(id: &str, at: Timestamp) -> Fleet {
    let mut fleet = Fleet::new(REGION);
    fleet.add(id, &[("App", "minecraft")]);
    fleet.change(at, local_aws::fleet::Change::Launch, &[id]);
    fleet
}
