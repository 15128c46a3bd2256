//! Many real processes at one cache: stampedes, freezes, kills and full disks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder::{
    Cache, Keyspace, Loaded, Policy, Scope, Source,
    tier::{
        redis::{Redis, RedisOptions},
        sqlite::Sqlite,
    },
};
use local_servers::redis::Redis as Server;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{local_files::SmallDisk, world::program};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_thawed_process_serves_nothing_that_was_invalidated_meanwhile() {
    // The server drops connections that are idle for a second, as load balancers do.
    let server = Server::start_with(&["--timeout", "1"]).unwrap();
    let origin = Origin::start(Duration::ZERO).await;
    let mut process = origin.process("each", &server, &["key", "5"]);
    let pid = Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    kill_process(pid, Signal::STOP).unwrap();
    // Longer than connections are trusted for.
    tokio::time::sleep(60 * SECOND).await;
    origin.say("new");
    let admin = Cache::builder("processes")
        .tier(Redis::new(&server.url(), RedisOptions::default()).unwrap())
        .build();
    assert!(admin.invalidate([Scope::ALL]).await.is_complete());
    kill_process(pid, Signal::CONT).unwrap();
    let lines = said(&mut process).await;
    let thawed = lines
        .iter()
        .position(|line| line["value"] == "new")
        .unwrap();
    assert!(thawed > 0 && lines[..thawed].iter().all(|line| line["value"] == "old"));
    // What was fresh for two seconds and frozen for sixty was not served any more, either.
    assert!(
        lines[thawed..].iter().all(|line| line["value"] == "new"),
        "{lines:?}"
    );
    assert!(thawed <= 3, "{thawed} before the freeze");
    assert!(lines.iter().all(|line| line["errors"] == 0), "{lines:?}");
}

#[tokio::test]
async fn fifty_processes_at_one_cold_key_are_two_loads_at_most() {
    let server = Server::start().unwrap();
    let origin = Origin::start(Duration::from_millis(300)).await;
    let start = |_| origin.process("get", &server, &["key"]);
    let mut processes: Vec<_> = (0..50).map(start).collect();
    for process in &mut processes {
        let lines = said(process).await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["value"], "old", "{lines:?}");
    }
    assert!(origin.loads() <= 2, "{} loads", origin.loads());
}

#[tokio::test]
async fn while_the_origin_is_down_processes_serve_what_is_stale() {
    let server = Server::start().unwrap();
    let origin = Origin::start(Duration::ZERO).await;
    let mut process = origin.process("each", &server, &["key", "6"]);
    tokio::time::sleep(SECOND).await;
    origin.say("");
    let asked = origin.loads();
    let lines = said(&mut process).await;
    assert!(lines.iter().all(|line| line["value"] == "old"), "{lines:?}");
    assert!(
        lines.iter().any(|line| line["state"] == "Stale"),
        "{lines:?}"
    );
    // Fresh for 2 s; then one probe a second in what is left of 6 s.
    let probes = origin.loads() - asked;
    assert!((1..=6).contains(&probes), "{probes} probes");
}

#[tokio::test]
async fn a_process_that_was_killed_while_it_wrote_leaves_a_file_that_can_be_read() {
    static VALUES: Keyspace<str, String> =
        Keyspace::new("values", 1, Policy::fresh(Duration::from_mins(1)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("larder.db");
    let mut kept = 0;
    for round in 0..5 {
        let mut process = tokio::process::Command::new(program("cache-process"))
            .arg("fill")
            .arg(&file)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        assert_eq!(line.trim(), r#"{"written":true}"#, "round {round}");
        tokio::time::sleep(Duration::from_millis(100 + 37 * round)).await;
        process.kill().await.unwrap();

        let cache = Cache::builder("processes")
            .tier(Sqlite::new(&file, 4 << 20))
            .build();
        let space = cache.space(&VALUES);
        for n in 0..1_000_usize {
            if let Some(hit) = space.get(&n.to_string()).await.unwrap().hit() {
                assert_eq!(*hit.value, n.to_string().repeat(1 + n % 5_000));
                kept += 1;
            }
        }
        let row = &cache.snapshot().tiers[0];
        assert_eq!((row.counts.undecodable, row.counts.errors), (0, 0));
    }
    assert!(kept > 10, "{kept} entries were found");
}

#[tokio::test]
async fn a_full_disk_turns_its_tier_off_and_nothing_else() {
    static VALUES: Keyspace<str, String> =
        Keyspace::new("values", 1, Policy::fresh(Duration::from_mins(1)));
    let Some(disk) = SmallDisk::mount(512 << 10) else {
        // Where nothing may be mounted, the unit tests of the tier have to do.
        return;
    };
    let cache = Cache::builder("processes")
        .memory(1 << 20)
        .tier(Sqlite::new(disk.path.join("larder.db"), 64 << 20))
        .build();
    let space = cache.space(&VALUES);
    for n in 0..200_usize {
        let load =
            async move |_| Ok::<_, std::convert::Infallible>(Loaded::from("x".repeat(10_000)));
        let key = n.to_string();
        let got = space
            .get_or_load(key.as_str(), load)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(got.value.len(), 10_000);
        let again = space.get(&key).await.unwrap().hit().unwrap();
        assert_eq!(again.source, Source::Memory);
    }
    let rows = cache.snapshot().tiers;
    assert!(rows[1].counts.errors > 0, "{rows:?}");
    assert!(
        !disk.path.join("larder.db").exists(),
        "it makes room for others"
    );
}

/// What the values come from: one line a connection.
struct Origin {
    address: String,
    loads: Arc<AtomicU64>,
    word: Arc<Mutex<String>>,
}

impl Origin {
    async fn start(takes: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap().to_string(),
            loads: Arc::default(),
            word: Arc::new(Mutex::new("old".to_owned())),
        };
        let (loads, word) = (Arc::clone(&origin.loads), Arc::clone(&origin.word));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                loads.fetch_add(1, Ordering::SeqCst);
                let word = word.lock().unwrap().clone();
                tokio::spawn(async move {
                    tokio::time::sleep(takes).await;
                    let _ = client.write_all(word.as_bytes()).await;
                });
            }
        });
        origin
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// What it says from now on; nothing, if it is to be down.
    fn say(&self, word: &str) {
        word.clone_into(&mut self.word.lock().unwrap());
    }

    /// A process that gets values from `server` or, failing that, from here.
    fn process(&self, how: &str, server: &Server, keys: &[&str]) -> tokio::process::Child {
        tokio::process::Command::new(program("cache-process"))
            .args([how, &server.url(), &self.address])
            .args(keys)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// All that a process says until its end.
async fn said(process: &mut tokio::process::Child) -> Vec<serde_json::Value> {
    let mut text = String::new();
    let stdout = process.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut text).await.unwrap();
    assert!(process.wait().await.unwrap().success(), "{text}");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}
