//! What the tests of reports run on: report-generator as it is deployed, with all that it asks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use local_aws::{
    lambda::{Config, Function, TMP},
    moto::Moto,
    reports::Reports,
};
use local_network::{Link, Network, Profile, Service};
use local_servers::redis::Redis;
use serde_json::{Value, json};

use crate::world::{World, ask, create, program};

pub(crate) struct Desk {
    pub(crate) reports: Reports,
    pub(crate) s3: aws_sdk_s3::Client,
    /// The proxies between functions and all of that.
    network: Network,
    variables: BTreeMap<String, String>,
    /// An S3 of its own, where the network's latencies count and those of other tests must not.
    _moto: Option<Moto>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::on(Profile::Loopback).await
    }

    /// A desk behind the network of `profile`. Its own clients reach its servers directly.
    pub(crate) async fn on(profile: Profile) -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let bucket = format!("reports-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let own = (profile != Profile::Loopback).then(|| Moto::start().unwrap());
        let moto = own.as_ref().unwrap_or_else(|| World::moto());
        let reports = Reports::with_bucket(moto, &bucket).await.unwrap();
        let mut network = Network::new(profile);
        let mut variables = configured(moto, &reports).env;
        if own.is_some() {
            // As deployed: the defaults stand the network of an account.
            variables.remove("CACHE_TIMEOUT_MS");
        }
        Self {
            variables: network.route(variables).await.unwrap(),
            s3: moto.s3().await,
            reports,
            network,
            _moto: own,
        }
    }

    /// A Redis server behind the desk's network: itself and the address for functions.
    pub(crate) async fn redis(&mut self) -> (Redis, String) {
        let redis = Redis::start().unwrap();
        let url = self.network.reach(Service::Redis, &redis.url()).await;
        (redis, url.unwrap())
    }

    /// Replaces the link between functions and S3. There is none on loopback.
    pub(crate) fn set_s3(&self, link: Link) {
        self.network.proxy(Service::S3).unwrap().set_link(link);
    }

    /// report-generator as it is deployed, with a model.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new("report-generator", program("report-generator"));
        config.env.clone_from(&self.variables);
        config
    }

    /// The same with another bound on the cache's operations on loopback, where the tests' own is generous.
    pub(crate) fn impatient(&self, milliseconds: &str) -> Config {
        match self.network.profile() {
            Profile::Loopback => self.config().env("CACHE_TIMEOUT_MS", milliseconds),
            _ => self.config(),
        }
    }

    /// The same without a model: rules write.
    pub(crate) fn by_rules(&self) -> Config {
        self.config().env("LLM_API_KEY_PARAMETER", "")
    }

    pub(crate) async fn function(&self) -> Arc<Function> {
        create(self.config()).await
    }

    /// Names of all objects, of leases and marks not.
    pub(crate) async fn objects(&self) -> Vec<String> {
        let list = self.s3.list_objects_v2().bucket(&self.reports.bucket);
        let list = list.send().await.unwrap();
        let names = list
            .contents()
            .iter()
            .map(|it| it.key().unwrap().to_owned());
        names.filter(|name| !name.contains('~')).collect()
    }

    /// Has the object's fresh time end a day earlier; what can stand in stays as long.
    pub(crate) async fn age(&self, name: &str) {
        let (body, metadata) = self.object(name).await;
        let life = metadata["larder-life"].as_str().unwrap();
        let mut numbers = life.split(' ').map(|number| number.parse::<u64>().unwrap());
        let mut next = |earlier: u64| numbers.next().unwrap() - earlier;
        let times = [next(0), next(86_400_000), next(86_400_000)];
        let rest: Vec<_> = numbers.map(|number| number.to_string()).collect();
        let times = times.map(|time| time.to_string());
        let life = format!("{} {}", times.join(" "), rest.join(" "));
        let put = self.s3.put_object().bucket(&self.reports.bucket).key(name);
        let put = put.metadata("larder-life", life);
        let schema = metadata["larder-schema"].as_str().unwrap();
        let put = put.metadata("larder-schema", schema).body(body.into());
        put.send().await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        let delete = self.s3.delete_object().bucket(&self.reports.bucket);
        delete.key(name).send().await.unwrap();
    }

    pub(crate) async fn object(&self, name: &str) -> (Vec<u8>, Value) {
        let get = self.s3.get_object().bucket(&self.reports.bucket).key(name);
        let object = get.send().await.unwrap();
        let metadata = json!(object.metadata().unwrap());
        let body = object.body.collect().await.unwrap().into_bytes();
        (body.to_vec(), metadata)
    }
}

/// report-generator as it is deployed, on these.
pub(crate) fn configured(moto: &Moto, reports: &Reports) -> Config {
    let config = Config::new("report-generator", program("report-generator"));
    let variables = reports.variables().into_iter();
    variables
        .fold(config, |config, (name, value)| config.env(name, value))
        .env("AWS_ENDPOINT_URL", moto.url())
        .env("CACHE_DIR", TMP)
        // moto takes its time.
        .env("CACHE_TIMEOUT_MS", "20000")
}

/// Invokes for DBS19.
pub(crate) async fn ask_dbs(function: &Function) -> Value {
    ask(function, json!({ "ticker": "DBS19" })).await
}

/// State and tier.
pub(crate) fn cache(answer: &Value) -> (String, Option<String>) {
    let cache = &answer["cache"];
    let text = |name: &str| cache[name].as_str().map(str::to_owned);
    (text("state").unwrap(), text("tier"))
}

/// As [`cache`] gives it.
pub(crate) fn hit(tier: &str) -> (String, Option<String>) {
    ("hit".to_owned(), Some(tier.to_owned()))
}

pub(crate) fn generated() -> (String, Option<String>) {
    ("generated".to_owned(), None)
}
