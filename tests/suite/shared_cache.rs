//! The cache on a real Redis server: the suite that every tier passes, and what servers do to those who
//! rely on them.

use std::{
    cell::Cell,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use larder::{
    Cache, Clock, Entry, Keyspace, Load, Loaded, Lookup, MAX_MARKS, Policy, Refresh, Scope, Source,
    WallMillis,
    testing::{ManualClock, conformance},
    tier::{
        News, ReadBatch, Tier as _,
        redis::{Redis, RedisOptions},
    },
};
use local_network::{Latency, Link, Proxy, Service};
use local_servers::redis::Redis as Server;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SECOND: Duration = Duration::from_secs(1);
const PLAIN: Policy = Policy::fresh(Duration::from_mins(1)).refresh(Refresh::Never);
/// Worth every wait: a busy machine is no reason to give up.
static TEXTS: Keyspace<str, String> =
    Keyspace::new("texts", 1, PLAIN.load_cost(Duration::from_secs(10)));
static CHEAP: Keyspace<str, String> = Keyspace::new("cheap", 1, PLAIN);

fn tier(url: &str) -> Redis {
    Redis::new(url, RedisOptions::default()).unwrap()
}

fn cache(url: &str) -> Cache {
    Cache::builder("app").tier(tier(url)).build()
}

/// One whose timeouts are too long to be mistaken for a busy machine.
fn patient(url: &str) -> larder::CacheBuilder {
    let timeout = 4 * SECOND;
    let options = RedisOptions {
        timeout,
        ..RedisOptions::default()
    };
    let tier = Redis::new(url, options).unwrap();
    Cache::builder("app").tier(tier).timeout(timeout)
}

/// What the server at `port` says to one command.
async fn ask(port: u16, command: &str) -> String {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let command = format!("{command}\r\nQUIT\r\n");
    server.write_all(command.as_bytes()).await.unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Gets `key`; where it is nowhere, the value is its name.
async fn get(cache: &Cache, key: &'static str) -> (String, Source) {
    get_from(cache, &TEXTS, key).await
}

async fn get_from(
    cache: &Cache,
    keyspace: &'static Keyspace<str, String>,
    key: &'static str,
) -> (String, Source) {
    let load = async move |_: Load<String>| Ok::<_, Infallible>(Loaded::from(key.to_owned()));
    let got = cache.space(keyspace).get_or_load(key, load).await;
    let got = got.unwrap().unwrap();
    ((*got.value).clone(), got.source)
}

fn errors(cache: &Cache) -> u64 {
    cache
        .snapshot()
        .tiers
        .iter()
        .map(|row| row.counts.errors)
        .sum()
}

/// The suite of all tiers, on a server with a database for each part of it, after `prepare`.
async fn passes_the_suite(prepare: impl AsyncFn(Redis) -> Redis) {
    let server = Server::start().unwrap();
    let database = Cell::new(0);
    conformance(async || {
        database.set(database.get() + 1);
        prepare(tier(&format!("{}/{}", server.url(), database.get()))).await
    })
    .await;
    assert!(database.get() >= 7);
}

#[tokio::test]
async fn a_redis_server_passes_the_suite_of_all_tiers() {
    passes_the_suite(async |tier| tier).await;
}

/// So many reads of nothing, which find nothing that a mark may cover.
async fn quieted(tier: Redis) -> Redis {
    let batch = ReadBatch {
        app: "quiet",
        now: larder::Clock::now(&larder::SystemClock),
        entries: &[],
        scopes: &[],
        news: News::None,
        lease: None,
    };
    for _ in 0..10 {
        tier.read(batch).await.unwrap();
    }
    tier
}

#[tokio::test]
async fn a_redis_server_passes_the_suite_where_plain_commands_do() {
    passes_the_suite(quieted).await;
}

#[tokio::test]
async fn plain_commands_do_until_something_newer_may_cover_what_is_read() {
    let server = Server::start().unwrap();
    let writer = cache(&server.url());
    let entry = || Entry::new("value".to_owned()).tags(["a"]);
    let texts = writer.space(&TEXTS);
    assert!(
        texts
            .put("key", entry().into())
            .await
            .unwrap()
            .is_complete()
    );
    let proxy = Counting::before(server.port()).await;
    let reader = cache(&proxy.url);
    let here = reader.space(&TEXTS);
    let trips = async || {
        let before = proxy.requests();
        let found = here.get("key").await.unwrap().hit().is_some();
        (found, proxy.requests() - before)
    };
    for _ in 0..10 {
        assert!(trips().await.0);
    }
    let commands = ask(server.port(), "INFO commandstats").await;
    assert!(commands.contains("cmdstat_mget"), "{commands}");
    let scripts = async || {
        let stats = ask(server.port(), "INFO commandstats").await;
        let calls = stats.split("cmdstat_evalsha:calls=").nth(1).unwrap();
        calls.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = scripts().await;
    assert_eq!(trips().await, (true, 1));
    assert_eq!(scripts().await, before, "no script any more");

    // It covers something else, but only the script can tell.
    assert!(writer.invalidate([Scope::tag("b")]).await.is_complete());
    assert_eq!(trips().await, (true, 2));
    for _ in 0..20 {
        assert_eq!(trips().await, (true, 1));
    }
    assert!(writer.invalidate([Scope::tag("a")]).await.is_complete());
    assert_eq!(trips().await, (false, 1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(
        texts
            .put("key", entry().into())
            .await
            .unwrap()
            .is_complete()
    );
    for _ in 0..10 {
        assert!(trips().await.0);
    }
    let before = scripts().await;
    assert_eq!(trips().await, (true, 1));
    assert_eq!(scripts().await, before, "plain commands again");
    assert!(writer.invalidate([Scope::tag("a")]).await.is_complete());
    assert_eq!(trips().await, (false, 2), "it is not served once more");
}

#[tokio::test]
async fn addresses_are_understood_and_never_quoted() {
    let server = Server::start_with(&["--requirepass", "hunter2"]).unwrap();
    let port = server.port();
    let user = "ACL SETUSER larder on >s3cret ~* +@all";
    ask(port, &format!("AUTH hunter2\r\n{user}")).await;
    for address in [
        format!("redis://:hunter2@127.0.0.1:{port}"),
        format!("redis://larder:s3cret@127.0.0.1:{port}/3"),
        format!("larder:s3cret@127.0.0.1:{port}/4"),
    ] {
        let cache = cache(&address);
        assert_eq!(get(&cache, "key").await.1, Source::Origin);
        assert_eq!(get(&cache, "key").await.1, Source::Tier("redis"));
        assert!(!format!("{cache:?}").contains("s3cret"));
    }
    let wrong = cache(&format!("redis://larder:wr0ng@127.0.0.1:{port}"));
    let Err(larder::Error::Tier(error)) = wrong.space(&TEXTS).get("key").await else {
        panic!("it let anybody in");
    };
    assert!(error.to_string().contains("check its password"), "{error}");
    assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    assert!(!error.is_retryable());
    for address in [
        "redis://",
        "http://host:6379",
        "redis://user:s3cret@host:port",
    ] {
        let error = Redis::new(address, RedisOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("host:port"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_hit_is_one_round_trip_however_many_marks_there_are() {
    let server = Server::start().unwrap();
    let writer = cache(&server.url());
    let entry = Entry::new("value".to_owned()).tags(["a", "b"]);
    assert!(
        writer
            .space(&TEXTS)
            .put("key", entry.into())
            .await
            .unwrap()
            .is_complete()
    );
    let _ = writer.invalidate([Scope::tag("c")]).await;

    let counting = Counting::before(server.port()).await;
    let reader = cache(&counting.url);
    assert!(
        reader
            .space(&TEXTS)
            .get("key")
            .await
            .unwrap()
            .hit()
            .is_some()
    );
    let connected = counting.requests();
    for _ in 0..10 {
        assert!(
            reader
                .space(&TEXTS)
                .get("key")
                .await
                .unwrap()
                .hit()
                .is_some()
        );
    }
    assert_eq!(counting.requests() - connected, 10);
}

/// A proxy that counts what clients send. What a client sends at once arrives at once, on loopback.
struct Counting {
    url: String,
    requests: Arc<AtomicU64>,
    /// Odd: nothing is passed on over connections that are there.
    frozen: Arc<AtomicU64>,
}

impl Counting {
    async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (requests, frozen) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counting = Self {
            url,
            requests: Arc::clone(&requests),
            frozen: Arc::clone(&frozen),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (requests, frozen) = (Arc::clone(&requests), Arc::clone(&frozen));
                tokio::spawn(pass(client, port, requests, frozen));
            }
        });
        counting
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// What is connected now leads nowhere from now on, and nobody says so.
    fn cut_silently(&self) {
        self.frozen.fetch_add(1, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, port: u16, requests: Arc<AtomicU64>, frozen: Arc<AtomicU64>) {
    let born = frozen.load(Ordering::SeqCst);
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 1 << 20];
    while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
        requests.fetch_add(1, Ordering::SeqCst);
        if frozen.load(Ordering::SeqCst) == born {
            to_server.write_all(&buffer[..n]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_died_costs_nothing_but_a_new_one() {
    let server = Server::start().unwrap();
    let cache = cache(&server.url());
    get(&cache, "key").await;
    for _ in 0..3 {
        ask(server.port(), "CLIENT KILL TYPE normal").await;
        assert_eq!(get(&cache, "key").await.1, Source::Tier("redis"));
    }
    assert_eq!(errors(&cache), 0);
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_costs_half_the_timeout_and_no_error() {
    let server = Server::start().unwrap();
    let proxy = Counting::before(server.port()).await;
    let cache = patient(&proxy.url).build();
    get(&cache, "key").await;
    proxy.cut_silently();
    assert_eq!(get(&cache, "key").await.1, Source::Tier("redis"));
    assert_eq!(errors(&cache), 0);
}

#[tokio::test]
async fn a_connection_is_not_trusted_after_half_a_minute_without_use() {
    let server = Server::start().unwrap();
    let proxy = Counting::before(server.port()).await;
    let clock = ManualClock::new();
    let cache = patient(&proxy.url).clock(clock.clone()).build();
    get(&cache, "key").await;
    clock.advance(31 * SECOND);
    proxy.cut_silently();
    let begun = Instant::now();
    assert_eq!(get(&cache, "key").await.1, Source::Tier("redis"));
    // Half the timeout is what the dead one would have cost.
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_client_comes_back_after_the_server_was_away() {
    let server = Server::start().unwrap();
    let port = server.port().to_string();
    let clock = ManualClock::new();
    let cache = Cache::builder("app")
        .tier(tier(&server.url()))
        .clock(clock.clone())
        .build();
    get(&cache, "key").await;
    drop(server);
    for _ in 0..20 {
        assert_eq!(
            get(&cache, "key").await.1,
            Source::Origin,
            "no error, no hang"
        );
    }
    assert!(errors(&cache) > 0);
    let _server = Server::start_with(&["--port", &port]).unwrap();
    clock.advance(31 * SECOND);
    assert_eq!(get(&cache, "key").await.1, Source::Origin);
    assert_eq!(get(&cache, "key").await.1, Source::Tier("redis"));
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_costs_one_timeout_an_invocation() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((client, _)) = listener.accept().await {
            open.push(client);
        }
    });
    let cache = patient(&address.to_string()).build();
    for _ in 0..2 {
        let begun = Instant::now();
        let handler = async {
            for key in ["a", "b", "c", "d"] {
                assert_eq!(get_from(&cache, &CHEAP, key).await.1, Source::Origin);
            }
        };
        let ((), left) = cache.invocation(Some(30 * SECOND)).run(handler).await;
        assert_eq!(left.drain(SECOND).await.dropped, 0);
        // The bound on what it costs: two timeouts would be 8 s.
        assert!(begun.elapsed() < 6 * SECOND, "{:?}", begun.elapsed());
    }
    accepting.abort();
}

#[tokio::test]
async fn a_connection_that_outlasts_its_look_up_serves_the_next_one() {
    static QUICK: Keyspace<str, String> =
        Keyspace::new("quick", 1, PLAIN.load_cost(Duration::from_millis(1)));
    let server = Server::start().unwrap();
    let slow = Link::fixed(Duration::ZERO).setup(Latency::fixed(Duration::from_millis(400)));
    let proxy = Proxy::start(Service::Redis, &server.url(), slow, 1)
        .await
        .unwrap();
    let cache = cache(&proxy.url());
    let mut sources = Vec::new();
    for _ in 0..3 {
        let handler = async {
            sources.push(get_from(&cache, &QUICK, "key").await.1);
            // The rest of the handler's work.
            tokio::time::sleep(2 * SECOND).await;
        };
        let ((), left) = cache.invocation(Some(30 * SECOND)).run(handler).await;
        assert_eq!(left.drain(SECOND).await.dropped, 0);
    }
    let [first, .., last] = sources.as_slice() else {
        panic!("three look-ups");
    };
    assert_eq!((*first, *last), (Source::Origin, Source::Tier("redis")));
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_server_that_is_full_or_read_only_is_no_error() {
    let full = Server::start_with(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let full = full.unwrap();
    let cache = cache(&full.url());
    assert_eq!(get(&cache, "key").await.1, Source::Origin);
    assert_eq!(get(&cache, "key").await.1, Source::Origin);
    assert!(errors(&cache) > 0);
}

#[tokio::test]
async fn where_the_marks_were_evicted_nothing_older_is_served() {
    let server = Server::start().unwrap();
    let clock = ManualClock::new();
    let process = || {
        patient(&server.url())
            .memory(1 << 20)
            .clock(clock.clone())
            .build()
    };
    let (here, there) = (process(), process());
    get(&here, "key").await;
    get(&there, "key").await;
    clock.advance(SECOND);
    let _ = here.invalidate([TEXTS.scope()]).await;
    ask(server.port(), "DEL app:~marks").await;
    clock.advance(6 * SECOND);
    assert!(matches!(
        there.space(&TEXTS).get("key").await,
        Ok(Lookup::Miss)
    ));
    assert_eq!(get(&there, "key").await.1, Source::Origin);
    assert_eq!(
        get(&process(), "key").await.1,
        Source::Tier("redis"),
        "and it goes on"
    );
}

#[tokio::test]
async fn what_is_put_first_of_all_is_found_however_slow_its_process_is() {
    /// Goes on whenever it is read.
    #[derive(Debug)]
    struct Ticking(ManualClock);
    impl Clock for Ticking {
        fn now(&self) -> WallMillis {
            self.0.advance(Duration::from_millis(1));
            self.0.now()
        }
    }
    let server = Server::start().unwrap();
    let clock = Ticking(ManualClock::new());
    let cache = patient(&server.url()).clock(clock).build();
    let entry = Entry::new("first".to_owned());
    let _ = cache.space(&TEXTS).put("key", entry.into()).await.unwrap();
    let found = cache.space(&TEXTS).get("key").await.unwrap().hit();
    assert_eq!(
        found.map(|found| (*found.value).clone()),
        Some("first".to_owned())
    );
}

#[tokio::test]
async fn marks_on_a_server_are_bounded_and_none_is_forgotten() {
    let server = Server::start().unwrap();
    let clock = ManualClock::new();
    let process = || patient(&server.url()).clock(clock.clone()).build();
    let cache = process();
    let entry = Entry::new("old".to_owned()).tags(["0"]);
    let _ = cache.space(&TEXTS).put("key", entry.into()).await.unwrap();
    for first in (0..MAX_MARKS + 2_000).step_by(1_000) {
        clock.advance(Duration::from_millis(1));
        let tags = (first..first + 1_000).map(|n| Scope::tag(&n.to_string()));
        assert!(cache.invalidate(tags).await.is_complete());
    }
    let kept = ask(server.port(), "ZCARD app:~marks").await;
    let kept: usize = kept
        .trim_start_matches(':')
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kept <= MAX_MARKS + 1, "{kept}");
    let other = process();
    assert!(matches!(
        other.space(&TEXTS).get("key").await,
        Ok(Lookup::Miss)
    ));
}

#[tokio::test]
async fn entries_leave_the_server_when_nobody_has_any_use_for_them() {
    let server = Server::start().unwrap();
    let cache = cache(&server.url());
    get(&cache, "a key").await;
    let keys = ask(server.port(), "KEYS app:*").await;
    let key = keys.lines().find(|line| line.contains("texts")).unwrap();
    assert!(key.ends_with(":a%20key"), "{key}");
    let left = ask(server.port(), &format!("PTTL {key}")).await;
    let left: u64 = left
        .trim_start_matches(':')
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60_000).contains(&left), "{left} ms");
}
