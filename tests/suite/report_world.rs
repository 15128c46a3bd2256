//! What the tests of reports run on: report-generator as it is deployed, with all that it asks.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use local_aws::{
    lambda::{Config, Function, TMP},
    moto::Moto,
    reports::Reports,
};
use serde_json::{Value, json};

use crate::world::{World, ask, create, program};

pub(crate) struct Desk {
    pub(crate) reports: Reports,
    pub(crate) s3: aws_sdk_s3::Client,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let bucket = format!("reports-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let moto = World::moto();
        Self {
            reports: Reports::with_bucket(moto, &bucket).await.unwrap(),
            s3: moto.s3().await,
        }
    }

    /// report-generator as it is deployed, with a model.
    pub(crate) fn config(&self) -> Config {
        configured(World::moto(), &self.reports)
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
