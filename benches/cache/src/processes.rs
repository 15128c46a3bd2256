//! What only processes show: a stampede of fifty, and connections that died while their process was frozen.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use amalgam::{
    Cache as Amalgam, EntryOptions,
    provider::{
        DistributedCache, DistributedLocker, DistributedSerializer, JsonSerializer,
        RedisDistributedCache, RedisDistributedLocker,
    },
};
use anyhow::Context as _;
use benches::measure::{Page, Samples};
use larder::{
    Cache, Keyspace, Load, Loaded, Lookup, Policy,
    tier::redis::{Redis, RedisOptions},
};
use local_servers::redis::Redis as Server;
use redis::aio::MultiplexedConnection;

use crate::{data::HOUR, server};

/// What a child is told to be, as its first argument.
pub(crate) const CHILD: &str = "child";
const PROCESSES: usize = 50;
const ORIGIN: Duration = Duration::from_millis(300);
/// Of all processes one loads, and the others wait.
static NUMBERS: Keyspace<str, u64> = Keyspace::new(
    "numbers",
    1,
    Policy::fresh(HOUR).lease(Duration::from_secs(10), Duration::from_secs(5)),
);

async fn connect(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    Ok(client.get_multiplexed_async_connection().await?)
}

/// An origin that counts who asks it, and takes its time.
async fn origin(mut server: MultiplexedConnection) -> u64 {
    let asked = redis::cmd("INCR").arg("origin").to_owned();
    let number = asked.query_async(&mut server).await.unwrap_or(0);
    tokio::time::sleep(ORIGIN).await;
    number
}

fn larder(url: &str) -> anyhow::Result<Cache> {
    // Fifty processes on two cores: waiting for one's turn is no fault of the server's.
    let timeout = Duration::from_secs(2);
    let options = RedisOptions {
        timeout,
        ..RedisOptions::default()
    };
    let tier = Redis::new(url, options)?;
    Ok(Cache::builder("bench").timeout(timeout).tier(tier).build())
}

async fn amalgam(url: &str) -> anyhow::Result<Amalgam<u64>> {
    let server = RedisDistributedCache::connect(url.to_owned()).await?;
    let locker = RedisDistributedLocker::connect(url.to_owned()).await?;
    let options = EntryOptions::new(HOUR);
    let cache = Amalgam::builder()
        .distributed(Arc::new(server) as Arc<dyn DistributedCache>)
        .serializer(Arc::new(JsonSerializer) as Arc<dyn DistributedSerializer<u64>>)
        .distributed_locker(Arc::new(locker) as Arc<dyn DistributedLocker>)
        .default_options(options)
        .try_build()?;
    Ok(cache)
}

async fn until(millis: u64) {
    let start = UNIX_EPOCH + Duration::from_millis(millis);
    let wait = start.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(wait).await;
}

/// What a child does: `stampede` or `thaw`, with whom, and where the server is.
pub(crate) async fn child(arguments: &[String]) -> anyhow::Result<()> {
    let [what, who, url] = arguments else {
        anyhow::bail!("a child is told what to do, with whom, and where");
    };
    match what.as_str() {
        "stampede" => stampede_of(who, url).await,
        _ => thaw_of(who, url).await,
    }
}

fn say(what: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{what}")?;
    Ok(())
}

fn heard() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

async fn stampede_of(who: &str, url: &str) -> anyhow::Result<()> {
    let server = connect(url).await?;
    let (larder, amalgam) = (larder(url)?, amalgam(url).await?);
    let space = larder.space(&NUMBERS);
    say("ready")?;
    until(heard()?.parse()?).await;
    let begun = Instant::now();
    match who {
        "larder" => {
            let load =
                async move |_: Load<u64>| Ok::<_, Infallible>(Loaded::from(origin(server).await));
            let got = space.get_or_load("cold", load).await?;
            anyhow::ensure!(got.is_some(), "nothing was got");
        }
        "amalgam" => {
            let load = move |_| async move { Ok::<_, Infallible>(origin(server).await) };
            amalgam.get_or_set("cold", load).await?;
            say(begun.elapsed().as_micros())?;
            // It gives its lock back in the background.
            amalgam.shutdown().await?;
            return Ok(());
        }
        _ => {
            // GET, and SET where there is nothing.
            let mut own = server.clone();
            let get = redis::cmd("GET").arg("cold").to_owned();
            let got: Option<u64> = get.query_async(&mut own).await?;
            if got.is_none() {
                let number = origin(server).await;
                let set = redis::cmd("SET").arg("cold").arg(number).to_owned();
                set.exec_async(&mut own).await?;
            }
        }
    }
    say(begun.elapsed().as_micros())
}

async fn thaw_of(who: &str, url: &str) -> anyhow::Result<()> {
    let space = larder(url)?.space(&NUMBERS);
    let amalgam = server::amalgam(url).await?;
    let client = redis::Client::open(url)?;
    let mut manager = redis::aio::ConnectionManager::new(client).await?;
    let receipt = space.put("thawed", 1.into()).await?;
    anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
    amalgam.set("thawed", vec![1]).await?;
    let set = redis::cmd("SET").arg(&["thawed", "1"]).to_owned();
    set.exec_async(&mut manager).await?;
    loop {
        let begun = Instant::now();
        let done = match who {
            "larder" => matches!(space.get("thawed").await, Ok(Lookup::Hit(_))),
            "amalgam" => matches!(amalgam.try_get("thawed").await, Ok(Some(_))),
            _ => {
                let get = redis::cmd("GET").arg("thawed").to_owned();
                let got = get.query_async::<Option<u64>>(&mut manager).await;
                matches!(got, Ok(Some(_)))
            }
        };
        say(format!("{} {done}", begun.elapsed().as_micros()))?;
        if heard()?.is_empty() {
            return Ok(());
        }
    }
}

/// A process of this program's own.
struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(what: &str, who: &str, url: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([CHILD, what, who, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "a process ended: see its message above");
        Ok(line.trim().to_owned())
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()?;
        anyhow::ensure!(status.success(), "kill {name} failed");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fifty processes want the same cold key at the same moment.
pub(crate) async fn stampede(page: &mut Page) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (who, name) in [
        ("larder", "larder, get_or_load"),
        ("amalgam", "amalgam, get_or_set with its Redis locker"),
        ("nobody", "GET, load, SET"),
    ] {
        let server = Server::start()?;
        let mut processes = (0..PROCESSES)
            .map(|_| Process::start("stampede", who, &server.url()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for process in &mut processes {
            process.line()?;
        }
        let start = (SystemTime::now() + Duration::from_millis(500)).duration_since(UNIX_EPOCH)?;
        for process in &mut processes {
            writeln!(process.stdin, "{}", start.as_millis())?;
        }
        let mut waits = Samples::new();
        for process in &mut processes {
            let micros: u64 = process.line()?.parse()?;
            waits.push(Duration::from_micros(micros));
        }
        let mut own = connect(&server.url()).await?;
        let loads = redis::cmd("GET").arg("origin").to_owned();
        let loads: u64 = loads.query_async(&mut own).await?;
        let wait = |share| format!("{:.0} ms", waits.quantile(share));
        rows.push(vec![
            name.to_owned(),
            loads.to_string(),
            wait(0.5),
            wait(0.99),
        ]);
    }
    page.table(
        "Fifty processes at one cold key",
        "An origin that takes 300 ms; two cores.",
        &["what", "loads", "median wait", "p99"],
        &rows,
    );
    Ok(())
}

/// A process is frozen, and the server closes its connections meanwhile.
pub(crate) async fn thaw(page: &mut Page) -> anyhow::Result<()> {
    const FREEZES: usize = 9;
    let server = Server::start()?;
    let mut own = connect(&server.url()).await?;
    let mut rows = Vec::new();
    for (who, name) in [
        ("larder", "larder, get"),
        ("amalgam", "amalgam, try_get"),
        ("manager", "redis-rs, ConnectionManager GET"),
    ] {
        let mut process = Process::start("thaw", who, &server.url())?;
        process.line()?;
        let (mut first, mut errors) = (Samples::new(), 0);
        for _ in 0..FREEZES {
            process.signal("-STOP")?;
            let kill = redis::cmd("CLIENT")
                .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
                .to_owned();
            kill.exec_async(&mut own).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            process.signal("-CONT")?;
            writeln!(process.stdin, "again")?;
            let line = process.line()?;
            let (micros, done) = line.split_once(' ').context("no figures")?;
            first.push(Duration::from_micros(micros.parse()?));
            errors += usize::from(done != "true");
        }
        let took = |share| format!("{:.2} ms", first.quantile(share));
        rows.push(vec![
            name.to_owned(),
            format!("{errors} of {FREEZES}"),
            took(0.5),
            took(1.0),
        ]);
    }
    page.table(
        "The first use after a freeze in which the server closed the connection",
        "SIGSTOP, CLIENT KILL, half a second, SIGCONT; an error is what does not give the value that is there.",
        &["what", "errors", "median", "slowest"],
        &rows,
    );
    Ok(())
}
