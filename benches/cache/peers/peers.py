"""The peers in Python, measured as the ones in Rust are: the same keys, values and turns.

peers.py SECTION ARGUMENT says a line for each peer: its name and the nanoseconds of fifteen turns, as JSON.
"""

import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
import urllib.parse

TURNS = 15
TURN = 0.04
KEYS = [f"deployment-{n:06}" for n in range(1_000)]


def tell(name, samples):
    print(json.dumps([f"Python: {name}", samples]), flush=True)


async def measure(name, run):
    """`run` does the operation so many times."""
    times = 1
    while True:
        begun = time.perf_counter()
        await run(times)
        if time.perf_counter() - begun >= TURN / 4:
            break
        times *= 2
    times *= 4
    samples = []
    for turn in range(TURNS + 1):
        begun = time.perf_counter()
        await run(times)
        if turn:
            samples.append((time.perf_counter() - begun) * 1e9 / times)
    tell(name, samples)


def each(get):
    keys = itertools.cycle(KEYS)

    async def run(times):
        for _ in range(times):
            get(next(keys))

    return run


def each_awaited(get):
    keys = itertools.cycle(KEYS)

    async def run(times):
        for _ in range(times):
            await get(next(keys))

    return run


async def memory(_):
    import cachetools
    from aiocache import SimpleMemoryCache
    from cashews import Cache

    ttl = cachetools.TTLCache(maxsize=10_000, ttl=3600)
    aio = SimpleMemoryCache()
    cashews = Cache()
    cashews.setup("mem://?size=10000")
    for key in KEYS:
        ttl[key] = os.urandom(256)
        await aio.set(key, os.urandom(256), ttl=3600)
        await cashews.set(key, os.urandom(256), expire=3600)
    await measure("cachetools, TTLCache get", each(ttl.get))
    await measure("aiocache, memory get", each_awaited(aio.get))
    await measure("cashews, memory get", each_awaited(cashews.get))


async def disk(size):
    import diskcache

    with tempfile.TemporaryDirectory() as folder, diskcache.Cache(folder) as cache:
        for key in KEYS:
            cache.set(key, os.urandom(int(size)), expire=3600)
        await measure("diskcache, get", each(cache.get))


async def redis_caches(url):
    from aiocache import RedisCache
    from aiocache.serializers import NullSerializer
    from cashews import Cache

    at = urllib.parse.urlsplit(url)
    serializer = NullSerializer(encoding=None)
    aio = RedisCache(endpoint=at.hostname, port=at.port, serializer=serializer, namespace="aiocache:")
    cashews = Cache()
    cashews.setup(url, client_side=False)
    for key in KEYS:
        await aio.set(key, os.urandom(256), ttl=3600)
        await cashews.set(f"cashews:{key}", os.urandom(256), expire=3600)
    return aio, cashews


async def server(url):
    aio, cashews = await redis_caches(url)
    await measure("aiocache, Redis get", each_awaited(aio.get))
    await measure("cashews, Redis get", each_awaited(lambda key: cashews.get(f"cashews:{key}")))
    await aio.close()
    await cashews.close()


async def batch(url):
    aio, cashews = await redis_caches(url)
    hundred = KEYS[:100]
    named = [f"cashews:{key}" for key in hundred]

    def many(get):
        async def run(times):
            for _ in range(times):
                await get()

        return run

    await measure("aiocache, multi_get of 100", many(lambda: aio.multi_get(hundred)))
    await measure("cashews, get_many of 100", many(lambda: cashews.get_many(*named)))
    await aio.close()
    await cashews.close()


sections = {"memory": memory, "disk": disk, "server": server, "batch": batch}
asyncio.run(sections[sys.argv[1]](sys.argv[2]))
