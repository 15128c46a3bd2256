//! `larder-publish` as a pipeline runs it: against S3, CloudFront with an edge that obeys it, and an Invoke API.

mod foreign_metadata;
mod monitor;
mod templates;

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, body::Bytes, response::IntoResponse as _};
use local_aws::{
    Server,
    cloudfront::{CloudFront, Distribution},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::world::{World, program};

const DISTRIBUTION: &str = "E2BX1E7RR7IV8R";
const DOMAIN: &str = "releases.watchy.cloud";

/// A bucket behind an edge, CloudFront over it, a function that stands in for cdn-invalidator, a stack, and a folder.
struct Desk {
    world: World,
    s3: aws_sdk_s3::Client,
    cloudfront: CloudFront,
    aws: Server,
    asked: Arc<Mutex<Asked>>,
    dir: TempDir,
}

/// Status, headers and body.
type Answer = (u16, Vec<(&'static str, &'static str)>, Value);

#[derive(Default)]
struct Asked {
    events: Vec<Value>,
    /// What the function answers instead of that all is cleared.
    answer: Option<Answer>,
    bucket: String,
}

/// What a run came to.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new().await;
        let cloudfront = CloudFront::start().await.unwrap();
        cloudfront.set_delay(Duration::ZERO);
        cloudfront.add(
            Distribution::new(DISTRIBUTION, &world.bucket)
                .alias(DOMAIN)
                .edge(world.edge.cache()),
        );
        let asked = Arc::new(Mutex::new(Asked {
            bucket: world.bucket.clone(),
            ..Asked::default()
        }));
        let state = Arc::clone(&asked);
        let app = Router::new()
            .fallback(move |uri, body| std::future::ready(answer(&state, &uri, &body)));
        Self {
            s3: World::moto().s3().await,
            cloudfront,
            aws: Server::start(app).await.unwrap(),
            asked,
            dir: tempfile::tempdir().unwrap(),
            world,
        }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[]).await
    }

    async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = Command::new(program("larder-publish"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_ENDPOINT_URL", World::s3_url())
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", self.cloudfront.url())
            .env("AWS_ENDPOINT_URL_CLOUDFORMATION", self.aws.url())
            .env("AWS_ENDPOINT_URL_LAMBDA", self.aws.url())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output();
        let output = output.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// All objects by key, with their `ETag`.
    async fn objects(&self) -> BTreeMap<String, String> {
        let list = self.s3.list_objects_v2().bucket(&self.world.bucket);
        let listed = list.send().await.unwrap();
        let objects = listed.contents().iter();
        objects
            .map(|object| {
                let etag = object.e_tag().unwrap_or_default();
                (object.key().unwrap().to_owned(), etag.to_owned())
            })
            .collect()
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let get = self.s3.get_object().bucket(&self.world.bucket).key(key);
        let body = get.send().await.unwrap().body;
        body.collect().await.unwrap().to_vec()
    }

    async fn put(&self, key: &str, bytes: &[u8]) {
        let put = self.s3.put_object().bucket(&self.world.bucket).key(key);
        put.body(bytes.to_vec().into()).send().await.unwrap();
    }

    async fn delete(&self, key: &str) {
        let delete = self.s3.delete_object().bucket(&self.world.bucket);
        delete.key(key).send().await.unwrap();
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What the function was asked since the last time.
    fn events(&self) -> Vec<Value> {
        std::mem::take(&mut self.asked.lock().unwrap().events)
    }

    fn has_function_answer(
        &self,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: Value,
    ) {
        self.asked.lock().unwrap().answer = Some((status, headers.to_vec(), body));
    }

    fn function_is_well(&self) {
        self.asked.lock().unwrap().answer = None;
    }
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}", self.stdout))
    }

    /// The error of a run that failed.
    fn error(&self) -> &str {
        assert_eq!(self.code, 1, "{}{}", self.stdout, self.stderr);
        let at = self.stderr.find("error: ").unwrap();
        &self.stderr[at..]
    }

    #[track_caller]
    fn is_refused(&self, why: &str) {
        let error = self.error();
        assert!(error.contains(why), "{error}");
    }
}

/// The keys of what was uploaded.
fn uploaded(report: &Value) -> Vec<&str> {
    let all = report["uploaded"].as_array().unwrap().iter();
    all.map(|object| object["key"].as_str().unwrap()).collect()
}

fn strings(list: &Value) -> Vec<&str> {
    let all = list.as_array().unwrap().iter();
    all.map(|text| text.as_str().unwrap()).collect()
}

/// The function, in the shape that Lambda gives its answers; and the stack.
fn answer(asked: &Mutex<Asked>, uri: &axum::http::Uri, body: &Bytes) -> axum::response::Response {
    let mut asked = asked.lock().unwrap();
    if uri.path() == "/" {
        let bucket = &asked.bucket;
        return format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><Outputs><member>\
             <OutputKey>ReleasesBucketName</OutputKey><OutputValue>{bucket}</OutputValue></member></Outputs></member></Stacks>\
             </DescribeStacksResult></DescribeStacksResponse>"
        )
        .into_response();
    }
    assert_eq!(
        uri.path(),
        "/2015-03-31/functions/cdn-invalidator/invocations"
    );
    let event: Value = serde_json::from_slice(body).unwrap();
    let paths = event["paths"].clone();
    let billed = paths.as_array().unwrap().len();
    asked.events.push(event);
    let (status, headers, answer) = asked.answer.clone().unwrap_or_else(|| {
        let answer = json!({
            "status": "submitted", "distribution_id": DISTRIBUTION, "invalidation_id": "I1", "paths": paths,
            "billable_paths": billed, "month_billable_paths": billed, "estimated_cost_usd": 0.0, "duration_ms": 3.25
        });
        (200, Vec::new(), answer)
    });
    let mut response = Json(answer).into_response();
    *response.status_mut() = status.try_into().unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn paths_are_cleared_by_hand_and_their_standing_is_told() {
    let desk = Desk::new().await;
    let cleared = desk
        .run(&["invalidate", "--domain", DOMAIN, "--json", "/a b", "/c/*"])
        .await
        .json();
    assert_eq!(cleared["status"], "completed");
    assert_eq!(cleared["distribution_id"], DISTRIBUTION);
    assert_eq!(strings(&cleared["paths"]), ["/a%20b", "/c/*"]);
    assert_eq!(cleared["billable_paths"], 2);
    let id = cleared["invalidation_id"].as_str().unwrap();
    let status = ["status", "--distribution", DISTRIBUTION, "--invalidation"];
    let standing = desk.run(&[&status[..], &[id, "--json"]].concat()).await;
    assert_eq!(standing.json()["status"], "completed");
    let unknown = desk.run(&[&status[..], &["I0"]].concat()).await;
    assert!(unknown.error().contains("NoSuchInvalidation"));

    // The same because of the same is one, and each call is another unless it says so.
    let by = ["invalidate", "--distribution", DISTRIBUTION, "/x", "--json"];
    let versioned = [&by[..], &["--version", "v1"]].concat();
    for (arguments, status) in [
        (&by[..], "completed"),
        (&by, "completed"),
        (&versioned, "completed"),
    ] {
        assert_eq!(desk.run(arguments).await.json()["status"], status);
    }
    assert_eq!(desk.cloudfront.billed(), 5);
    desk.run(&versioned).await.json();
    assert_eq!(desk.cloudfront.billed(), 5);

    let wrong = desk
        .run(&["invalidate", "--domain", DOMAIN, "/a,/b", "c"])
        .await;
    assert!(wrong.error().contains("\"/a,/b\" looks like several paths"));
    assert!(wrong.error().contains("\"c\" begins with neither"));
    let nobody = desk
        .run(&["invalidate", "--domain", "a.example", "/a"])
        .await;
    assert_eq!(nobody.code, 1);
    assert!(
        nobody
            .stdout
            .contains("no distribution of this account serves a.example")
    );
    let neither = desk.run(&["invalidate", "/a"]).await;
    assert_eq!(neither.code, 2);
}
