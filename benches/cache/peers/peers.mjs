// The peers in JavaScript, measured as the ones in Rust are: the same keys, values and turns.
//
// peers.mjs SECTION ARGUMENT says a line for each peer: its name and the nanoseconds of fifteen turns, as JSON.

import { randomBytes } from 'node:crypto'

import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisDriver } from 'bentocache/drivers/redis'
import { LRUCache } from 'lru-cache'

const TURNS = 15
const TURN = 40_000_000
const KEYS = Array.from({ length: 1_000 }, (_, n) => `deployment-${String(n).padStart(6, '0')}`)

const now = () => Number(process.hrtime.bigint())
const value = () => randomBytes(192).toString('base64')

async function measure(name, run) {
  let times = 1
  for (;;) {
    const begun = now()
    await run(times)
    if (now() - begun >= TURN / 4) break
    times *= 2
  }
  times *= 4
  const samples = []
  for (let turn = 0; turn <= TURNS; turn += 1) {
    const begun = now()
    await run(times)
    if (turn) samples.push((now() - begun) / times)
  }
  console.log(JSON.stringify([`Node: ${name}`, samples]))
}

function each(get) {
  let at = 0
  return (times) => {
    for (let n = 0; n < times; n += 1) get(KEYS[at++ % KEYS.length])
  }
}

function eachAwaited(get) {
  let at = 0
  return async (times) => {
    for (let n = 0; n < times; n += 1) await get(KEYS[at++ % KEYS.length])
  }
}

async function memory() {
  const lru = new LRUCache({ max: 10_000, ttl: 3_600_000 })
  const near = bentostore().useL1Layer(memoryDriver({ maxItems: 10_000 }))
  const bento = new BentoCache({ default: 'near', stores: { near } })
  const dedupe = createCache({ ttl: 3600, storage: { type: 'memory', options: { size: 10_000 } } })
  dedupe.define('load', async () => value())
  for (const key of KEYS) {
    lru.set(key, value())
    await bento.set({ key, value: value(), ttl: '1h' })
    await dedupe.load(key)
  }
  await measure('lru-cache, get', each((key) => lru.get(key)))
  await measure('async-cache-dedupe, memory', eachAwaited((key) => dedupe.load(key)))
  await measure('bentocache, memory get', eachAwaited((key) => bento.get({ key })))
  const factory = () => value()
  await measure('bentocache, memory getOrSet', eachAwaited((key) => bento.getOrSet({ key, factory })))
}

async function server(url) {
  const { hostname: host, port } = new URL(url)
  const far = bentostore().useL2Layer(redisDriver({ connection: { host, port: Number(port) } }))
  const bento = new BentoCache({ default: 'far', stores: { far } })
  for (const key of KEYS) await bento.set({ key, value: value(), ttl: '1h' })
  await measure('bentocache, Redis get', eachAwaited((key) => bento.get({ key })))
  await bento.disconnectAll()
}

const sections = { memory, server }
const [section, argument] = process.argv.slice(2)
await sections[section]?.(argument)
