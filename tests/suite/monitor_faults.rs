//! monitor-runner and what monitors print, how their programs begin, and a source that does not say how long an answer is.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex},
};

use flate2::{Compression, write::GzEncoder};
use local_aws::{
    edge::{Fault, Kind},
    lambda::Function,
    publish::{NewRelease, Publisher},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::world::{World, error_of, invoke, release, run_slack};

const METADATA: &str = "metadata.json";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::best());
    packing.write_all(bytes).unwrap();
    packing.finish().unwrap()
}

#[tokio::test]
async fn results_that_strict_readers_refuse_are_kept_and_logged() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let good = r#"{"type":"result","n":1}"#;
    let cases = [
        (
            r#"{"type":"result","title":"cut \ud83d"}"#.to_owned(),
            json!({ "type": "result", "title": "cut \u{fffd}" }),
            "U+FFFD",
        ),
        (
            format!("{good}\n{{\"type\":\"result\",\"n\":1e999}}"),
            json!({ "type": "result", "n": 1 }),
            "number out of range",
        ),
        (
            format!("{good}\n{{\"type\":\"result\",\"n\":{nested}}}"),
            json!({ "type": "result", "n": 1 }),
            "recursion limit",
        ),
        (
            r#"{"type":"result","n":1e999}"#.to_owned(),
            json!({ "type": "result", "n": "1e999" }),
            "kept as text",
        ),
        (
            "\u{feff}{\"type\":\"result\",\"n\":1}".to_owned(),
            json!({ "type": "result", "n": 1 }),
            "",
        ),
        (
            r#"{"type":"result","n":NaN}"#.to_owned(),
            Value::Null,
            "no JSON: expected value",
        ),
    ];
    for (printed, result, problem) in cases {
        let config = world.monitor_runner().env("MONITOR_ENV_BEHAVIOUR", "say");
        let function = world
            .lambda
            .create(config.env("MONITOR_ENV_SAY", printed.as_str()));
        let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
        let answer = outcome.json().unwrap();
        assert_eq!(answer["results"][0]["result"], result, "{printed}");
        let mut lines = outcome.logs.iter();
        assert!(
            problem.is_empty()
                || lines.any(|line| line.contains(problem) && line.contains("slack")),
            "{printed}: {:?}",
            outcome.logs
        );
        let says_none = outcome
            .messages()
            .iter()
            .any(|line| line == "The monitor printed no result");
        assert!(!says_none, "{printed}");
    }
}

#[tokio::test]
async fn metadata_of_other_writers_is_read_as_far_as_it_concerns_this_machine() {
    let world = World::new().await;
    let good = world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    let platform = good["target_platform"].as_str().unwrap();
    let text = good.to_string();
    let with = |field: &str| text.replacen('{', &format!("{{{field},"), 1).into_bytes();
    let platforms = |other: Value| {
        let builds = json!({ platform: good, "windows-x86_64": other });
        json!({ "version": "1.0", "platforms": builds }).to_string()
    };
    let nested = format!("{}{}", "[".repeat(130), "]".repeat(130));
    for bytes in [
        platforms(json!({ "compression": "zip" })).into_bytes(),
        platforms(Value::Null).into_bytes(),
        platforms(json!({ "compression": "zstd", "binarySize": "x" })).into_bytes(),
        with(r#""notes":"fix \ud83d""#),
        with(r#""notes":1e999"#),
        with(&format!("\"notes\":{nested}")),
        format!("\u{feff}{text}").into_bytes(),
    ] {
        let said = String::from_utf8_lossy(&bytes).into_owned();
        world
            .publisher
            .put_metadata_bytes("slack", bytes)
            .await
            .unwrap();
        world.edge.clear();
        function.fresh().await;
        assert_eq!(
            run_slack(&function).await["result"]["marker"],
            "--------",
            "{said}"
        );
    }
}

#[tokio::test]
async fn metadata_sent_as_gzip_is_unpacked_within_its_bound() {
    let world = World::new().await;
    let good = world.publish("1.0", "--------").await.to_string();
    let function = world.with_behaviour("tell");
    for encoding in ["gzip", "x-gzip", "aws-chunked,gzip"] {
        world.edge.fail(Fault::always(
            METADATA,
            Kind::Encoded(encoding, gzip(good.as_bytes())),
        ));
        assert_eq!(run_slack(&function).await["version"], "1.0", "{encoding}");
        function.fresh().await;
        world.edge.heal();
    }
    for (encoding, bytes, said) in [
        ("gzip", gzip(&vec![b' '; 70_000]), "longer than 65536 bytes"),
        ("gzip", b"\x1f\x8bnonsense".to_vec(), "does not unpack"),
        ("br", good.clone().into_bytes(), "`Content-Encoding: br`"),
        (
            "gzip, zstd",
            gzip(good.as_bytes()),
            "`Content-Encoding: zstd`",
        ),
    ] {
        world
            .edge
            .fail(Fault::always(METADATA, Kind::Encoded(encoding, bytes)));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{message}");
        assert!(message.contains(said), "{message}");
        world.edge.heal();
    }
}

/// A source that sends no `Content-Length`: an answer ends with its connection.
struct OpenEnded {
    url: String,
    /// How many bytes of the next answers come, by the end of their path.
    cuts: Arc<Mutex<Vec<(&'static str, usize)>>>,
}

impl OpenEnded {
    /// One that has `release`, and the key that signed it.
    async fn start(release: &NewRelease) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (bucket, s3) = (
            format!("unused-{}", url.rsplit(':').next().unwrap()),
            World::moto().s3().await,
        );
        let publisher = Publisher::create(s3, &bucket, &url).await.unwrap();
        let metadata = publisher
            .metadata(release)
            .unwrap()
            .to_string()
            .into_bytes();
        let binary = if release.gzip {
            gzip(&release.binary)
        } else {
            release.binary.clone()
        };
        let bodies = HashMap::from([("metadata.json", metadata), ("monitor-1.0", binary)]);
        let cuts = Arc::new(Mutex::new(Vec::new()));
        let (bodies, at) = (Arc::new(bodies), Arc::clone(&cuts));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&bodies), Arc::clone(&at)));
            }
        });
        (Self { url, cuts }, publisher.public_key())
    }

    /// Cuts the next `times` answers of this path.
    fn cut(&self, path: &'static str, at: usize, times: usize) {
        self.cuts.lock().unwrap().extend(vec![(path, at); times]);
    }
}

async fn serve(
    mut stream: TcpStream,
    bodies: Arc<HashMap<&'static str, Vec<u8>>>,
    cuts: Arc<Mutex<Vec<(&'static str, usize)>>>,
) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await.unwrap() == 0 {
            return;
        }
    }
    let asked = String::from_utf8(asked).unwrap();
    let path = asked.split(' ').nth(1).unwrap();
    let (name, body) = bodies
        .iter()
        .find(|(name, _)| path.ends_with(**name))
        .unwrap();
    let cut = {
        let mut cuts = cuts.lock().unwrap();
        let next = cuts.iter().position(|(path, _)| path == name);
        next.map(|next| cuts.remove(next).1)
    };
    let body = &body[..cut.unwrap_or(body.len())];
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    // A reader that has seen enough is gone.
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let _ = stream.shutdown().await;
}

fn runner(world: &World, source: &OpenEnded, key: &str) -> Arc<Function> {
    let config = world.monitor_runner().env("RELEASES_URL", &source.url);
    world.lambda.create(config.env("TRUSTED_KEYS", key))
}

#[tokio::test]
async fn an_answer_without_a_length_that_breaks_off_is_begun_again() {
    let world = World::new().await;
    for gzip in [false, true] {
        let release = NewRelease {
            gzip,
            ..release("1.0", "complete")
        };
        let (source, key) = OpenEnded::start(&release).await;
        let function = runner(&world, &source, &key);
        for (path, at) in [
            (METADATA, 0),
            (METADATA, 300),
            ("monitor-1.0", 0),
            ("monitor-1.0", 50_000),
        ] {
            source.cut(path, at, 2);
            let run = run_slack(&function).await;
            assert_eq!(
                (&run["cache"], &run["result"]["marker"]),
                (&json!("miss"), &json!("complete"))
            );
            assert!(source.cuts.lock().unwrap().is_empty(), "{path} {at}");
            function.fresh().await;

            source.cut(path, at, 3);
            let (error_type, message) = error_of(&function).await;
            assert_eq!(error_type, "Upstream", "{message}");
            assert!(
                message.contains(&format!("broke off after {at} bytes")),
                "{message}"
            );
        }
        // An outage, for which the last verified binary stands in.
        run_slack(&function).await;
        source.cut(METADATA, 10, 3);
        assert_eq!(run_slack(&function).await["cache"], "stale");
    }
}

#[tokio::test]
async fn a_script_is_refused_in_memory_and_names_an_interpreter_that_is_not_found() {
    let world = World::new().await;
    let publish = async |script: &str| {
        let release = NewRelease::new("slack", "1.0", script);
        world.publisher.publish(&release).await.unwrap();
        world.edge.clear();
    };
    publish("#!/bin/sh\necho '{\"ok\":true}'\n").await;
    let config = world.monitor_runner();
    let function = world.lambda.create(config.env("EXEC_MODE", "memfd"));
    for cache in ["as it is downloaded", "as it is found on disk"] {
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Internal", "{cache}: {message}");
        assert!(
            message.contains("script") && message.contains("EXEC_MODE"),
            "{message}"
        );
    }
    let function = world.with_behaviour("");
    assert_eq!(run_slack(&function).await["result"], json!({ "ok": true }));

    for (first, named) in [
        ("#!/bin/sh\r\n", r#""/bin/sh\r""#),
        ("#!/usr/bin/env sh\r\n", r#""/usr/bin/env sh\r""#),
    ] {
        publish(&format!("{first}echo '{{}}'\r\n")).await;
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Internal", "{message}");
        assert!(
            message.contains(named) && message.contains("carriage return"),
            "{message}"
        );
    }
    publish("#!/no/such/interpreter\n").await;
    let (_, message) = error_of(&function).await;
    assert!(
        message.contains("needs \"/no/such/interpreter\""),
        "{message}"
    );
}
