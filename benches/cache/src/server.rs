//! Hits on a server: one, and a hundred at once.

use std::{convert::Infallible, hint::black_box, sync::Arc};

use amalgam::{
    Cache as Amalgam, EntryOptions,
    provider::{
        DistributedCache, DistributedSerializer, PostcardSerializer, RedisDistributedCache,
    },
};
use benches::measure::Page;
use larder::{
    Cache, Loaded,
    tier::redis::{Redis, RedisOptions},
};
use local_network::{Network, Profile, Service};
use local_servers::redis::Redis as Server;
use multi_tier_cache::{CacheBackend as _, RedisCache};

use crate::{
    data::{HOUR, MANY, filled, keys, value},
    outside,
    turns::{Contestant, compare},
};

fn larder(url: &str) -> anyhow::Result<Cache> {
    let tier = Redis::new(url, RedisOptions::default())?;
    Ok(Cache::builder("bench").tier(tier).build())
}

async fn plain(url: &str, keys: &[String]) -> anyhow::Result<redis::aio::MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    let mut raw = client.get_multiplexed_async_connection().await?;
    for key in keys {
        let set = redis::cmd("SET").arg(key).arg(value(256)).to_owned();
        set.exec_async(&mut raw).await?;
    }
    Ok(raw)
}

/// With a server, and nothing in memory.
pub(crate) async fn amalgam(url: &str) -> anyhow::Result<Amalgam<Vec<u8>>> {
    let server = RedisDistributedCache::connect(url.to_owned()).await?;
    let options = EntryOptions::new(HOUR).with_skip_memory(true, true);
    let cache = Amalgam::builder()
        .distributed(Arc::new(server) as Arc<dyn DistributedCache>)
        .serializer(Arc::new(PostcardSerializer) as Arc<dyn DistributedSerializer<Vec<u8>>>)
        .default_options(options)
        .try_build()?;
    Ok(cache)
}

/// A hit on a server against a plain GET.
pub(crate) async fn hit(profile: Profile, page: &mut Page) -> anyhow::Result<()> {
    let server = Server::start()?;
    let mut network = Network::new(profile);
    let url = network.reach(Service::Redis, &server.url()).await?;
    let keys = keys();
    let mut raw = plain(&url, &keys).await?;
    let cache = larder(&url)?;
    let space = filled(&cache, &keys, 256).await?;
    let amalgam = amalgam(&url).await?;
    let multi_tier = RedisCache::with_url(&url).await?;
    for key in &keys {
        amalgam.set(key.as_str(), value(256)).await?;
        let key = format!("multi-tier:{key}");
        multi_tier
            .set_with_ttl(&key, value(256).into(), HOUR)
            .await?;
    }
    let contestants = vec![
        Contestant::each("redis-rs, GET", &keys, async |key| {
            let get = redis::cmd("GET").arg(key).to_owned();
            let _ = black_box(&get.query_async::<Vec<u8>>(&mut raw).await);
        }),
        Contestant::each("larder, get", &keys, async |key| {
            let _ = black_box(&space.get(key).await);
        })
        .goal(1.5),
        Contestant::each("amalgam, try_get past its memory", &keys, async |key| {
            let _ = black_box(&amalgam.try_get(key.as_str()).await);
        }),
        Contestant::each(
            "multi-tier-cache, Redis backend get (no marks)",
            &keys,
            async |key| {
                let key = format!("multi-tier:{key}");
                black_box(&multi_tier.get(&key).await);
            },
        ),
    ];
    let how = "redis-server; values of 256 bytes. larder's hit has the marks that cover the entry, its checksum and its decoding included.";
    let others = outside::measured("server", &url)?;
    compare(page, ("A hit on a server", how), contestants, &others).await;
    Ok(())
}

/// A hundred hits on a server against one MGET.
pub(crate) async fn batch(profile: Profile, page: &mut Page) -> anyhow::Result<()> {
    let server = Server::start()?;
    let mut network = Network::new(profile);
    let url = network.reach(Service::Redis, &server.url()).await?;
    let keys: Vec<_> = keys().into_iter().take(100).collect();
    let mut raw = plain(&url, &keys).await?;
    let cache = larder(&url)?;
    let space = cache.space(&MANY);
    let amalgam = amalgam(&url).await?;
    for key in &keys {
        let receipt = space.put(key, value(256).into()).await?;
        anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
        amalgam.set(key.as_str(), value(256)).await?;
    }
    let contestants = vec![
        Contestant::new("redis-rs, MGET of 100", async |times| {
            for _ in 0..times {
                let mget = redis::cmd("MGET").arg(&keys).to_owned();
                let _ = black_box(&mget.query_async::<Vec<Vec<u8>>>(&mut raw).await);
            }
        }),
        Contestant::new("larder, get_many of 100", async |times| {
            for _ in 0..times {
                let load = async |_| Ok::<Vec<(String, Loaded<Vec<u8>>)>, Infallible>(Vec::new());
                let _ = black_box(&space.get_many(&keys, load).await);
            }
        })
        .goal(1.5),
        Contestant::new("amalgam, 100 × try_get (it has no batch)", async |times| {
            for _ in 0..times {
                for key in &keys {
                    let _ = black_box(&amalgam.try_get(key.as_str()).await);
                }
            }
        }),
    ];
    let how = "Values of 256 bytes on redis-server.";
    let others = outside::measured("batch", &url)?;
    compare(page, ("A hundred keys at once", how), contestants, &others).await;
    let stats = cache.snapshot();
    let loaded = stats.loads.iter().any(|loads| loads.loads > 0);
    anyhow::ensure!(!loaded, "not what was to be measured: {stats:?}");
    Ok(())
}
