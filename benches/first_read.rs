//! The first read of a fresh environment: connections to Redis, with and without TLS, and to DynamoDB, with the whole processor and
//! with the CPU time of the function's memory size.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use benches::measure::{Page, Samples};
use local_aws::lambda::{CpuShare, Function};
use local_network::{Network, Service};
use local_servers::redis::Redis;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use crate::{Bench, MEMORY_MIB, SAMPLE, invoke, progress};

const ROUNDS: usize = 20;

pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("first reads");
    bench.cache("1234.56").await?;
    let redis = Redis::start()?;
    let mut network = Network::new(bench.network.profile());
    let plain = network.reach(Service::Redis, &redis.url()).await?;
    let certified = generate_simple_self_signed(["localhost".to_owned()])?;
    let server = plain.trim_start_matches("redis://").to_owned();
    let secure = format!("rediss://localhost:{}", front(server, &certified).await?);
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, certified.cert.pem())?;
    let contestants = contestants(bench, &plain, &secure, &authority);
    let is_limited = CpuShare::create(MEMORY_MIB).is_ok();
    page.section(
        "The first read of a fresh environment",
        &format!(
            "From the event's dispatch to the answer's arrival, after the start: runtime-events finds minutes in Redis that another environment \
             left there, or reads the table. TLS is that of a server on this machine, which is as near as the processor, so what it costs is CPU \
             time. {}",
            if is_limited {
                "A share is the CPU time that 256 MB buy, a seventh of a core."
            } else {
                "This system cannot limit CPU time, so there is no figure for the share of 256 MB."
            }
        ),
    );
    for (name, whole) in contestants {
        invoke(&whole, &json!({ "instance_id": SAMPLE })).await?;
        page.figure(
            &format!("{name}, the whole processor"),
            &firsts(&whole).await?,
            "ms",
        );
        if is_limited {
            let mut config = whole.config().clone();
            config.memory_mib = MEMORY_MIB;
            config.cpu_share = true;
            let share = bench.lambda.create(config);
            page.figure(
                &format!("{name}, the share of 256 MB"),
                &firsts(&share).await?,
                "ms",
            );
        }
    }
    Ok(())
}

fn contestants(
    bench: &Bench,
    plain: &str,
    secure: &str,
    authority: &Path,
) -> [(&'static str, Arc<Function>); 3] {
    let authority = authority.to_string_lossy();
    let redis = [("CACHE_BACKEND", "redis"), ("CACHE_URL", plain)];
    let tls = [
        ("CACHE_BACKEND", "redis"),
        ("CACHE_URL", secure),
        ("CACHE_CA_FILE", &authority),
    ];
    let table = [("CACHE_ENABLED", "false")];
    [
        ("Redis", bench.ours("runtime-events", &redis)),
        ("Redis over TLS", bench.ours("runtime-events", &tls)),
        ("DynamoDB, no cache", bench.ours("runtime-events", &table)),
    ]
}

/// Measures the first invocations of fresh environments.
async fn firsts(function: &Function) -> anyhow::Result<Samples> {
    let mut samples = Samples::new();
    for _ in 0..ROUNDS {
        function.fresh().await;
        let outcome = invoke(function, &json!({ "instance_id": SAMPLE })).await?;
        ensure!(outcome.init.is_some(), "no cold start");
        samples.push(outcome.duration);
    }
    Ok(samples)
}

/// Starts a way to `server` over TLS, and returns its port.
async fn front(server: String, certified: &CertifiedKey<rcgen::KeyPair>) -> anyhow::Result<u16> {
    let chain: Vec<CertificateDer<'static>> = vec![certified.cert.der().clone()];
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der());
    let key = key.ok().context("not a key")?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                client.set_nodelay(true)?;
                let mut client = acceptor.accept(client).await?;
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok(port)
}
