//! The two scripts, and how a batch becomes a call of one.

use std::borrow::Cow;

use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection};
use sha1_smol::Sha1;

use super::connection::Request;
use crate::{
    scope::{MAX_MARKS, Scope},
    tier::{Asked, News, ReadBatch, WriteBatch},
};

/// What both scripts begin with. Times are milliseconds; of a number's 8 bytes the upper two are 0 until the year
/// 10889, and Lua 5.1 has no more than 53 bits. `unpack` has another name since Lua 5.2.
const COMMON: &str = r"
local unpack = table.unpack or unpack
local marks, news, now, all = KEYS[1], KEYS[2], tonumber(ARGV[1]), string.rep('\0', 8)
local bytes = string.byte
local function number(text, at)
  local a, b, c, d, e, f = bytes(text, at, at + 5)
  return a + 256 * (b + 256 * (c + 256 * (d + 256 * (e + 256 * f))))
end
local function is_frame(text)
  return #text >= 72 and string.sub(text, 1, 4) == 'LRDR'
end
local function mark(scope, at)
  local known = redis.call('ZSCORE', marks, scope)
  if not known or tonumber(known) < at then
    redis.call('ZADD', marks, at, scope)
  end
end
local function keep(key)
  redis.call('PEXPIRE', key, 2592000000)
end
local function last(of)
  return tonumber(redis.call('ZREVRANGE', of, 0, 0, 'WITHSCORES')[2])
end
";

/// KEYS: marks, news, then the lease if one is asked for, then the entries.
/// ARGV: now, cursor or -1 for none and -2 for no news, owner or '', milliseconds of the lease, 1 if even where it is fresh, the
/// scopes that are asked for, 8 bytes each; then what covers the entries, in one: of each how many scopes in two bytes, its expiry, and these.
/// Answers: lease, cursor, 1 if the news is complete, news, marks as scope and time in turn, entries, and which of these
/// are covered: place, invalidated and expired in turn.
///
/// What is given in one argument is not looked at for entries that are younger than all marks, which most are.
const READ: &str = r"
local byte, sub = bytes, string.sub
local newest = last(marks)
if not newest then
  newest = now - 1
  mark(all, newest)
  keep(marks)
end
local fresh_news, cursor, complete = {}, 0, 1
local since = tonumber(ARGV[2])
if since >= -1 then
  cursor = last(news) or 0
  if since > cursor then
    complete = 0
  elseif since >= 0 and since < cursor then
    local first = tonumber(redis.call('ZRANGE', news, 0, 0, 'WITHSCORES')[2])
    if first > since + 1 then complete = 0 end
    fresh_news = redis.call('ZRANGEBYSCORE', news, '(' .. ARGV[2], '+inf')
  end
end
local told, asked = {}, ARGV[6]
for i = 1, #asked, 8 do
  local scope = sub(asked, i, i + 7)
  local score = redis.call('ZSCORE', marks, scope)
  if score then
    told[#told + 1] = scope
    told[#told + 1] = score
  end
end
local leased = ARGV[3] ~= ''
local first = 3
if leased then first = 4 end
local values = {}
if KEYS[first] then
  values = redis.call('MGET', unpack(KEYS, first))
end
local function newer(scope, than)
  local score = redis.call('ZSCORE', marks, scope)
  if score and tonumber(score) > than then return tonumber(score) end
  return than
end
local function count(text, at)
  local a, b = byte(text, at, at + 1)
  return a + 256 * b
end
local covers, at, of = ARGV[7], 1, 1
local covered, is_fresh = {}, false
for i, value in ipairs(values) do
  if value and #value >= 72 then
    local created = number(value, 17)
    local invalidated, expired = 0, 0
    if newest >= created then
      while of < i do
        at = at + 10 + 8 * count(covers, at)
        of = of + 1
      end
      invalidated = newer(all, 0)
      for j = 1, count(covers, at) do
        invalidated = newer(sub(covers, at + 2 + 8 * j, at + 9 + 8 * j), invalidated)
      end
      local tags = count(value, 7)
      if tags > 64 then tags = 0 end
      for j = 0, tags - 1 do
        invalidated = newer(sub(value, 65 + 8 * j, 72 + 8 * j), invalidated)
      end
      expired = newer(sub(covers, at + 2, at + 9), 0)
      local n = #covered
      covered[n + 1], covered[n + 2], covered[n + 3] = i, invalidated, expired
    end
    if i == 1 then
      is_fresh = now < number(value, 25) and created > invalidated and created > expired
    end
  end
end
local lease = 0
if leased and (ARGV[5] == '1' or not is_fresh) then
  local owner = redis.call('GET', KEYS[3])
  if not owner or owner == ARGV[3] then
    redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
    lease = 1
  else
    lease = 2
  end
end
return {lease, cursor, complete, fresh_news, told, values, covered}
";

/// KEYS: marks, news, then the lease if one is given back, then entries to write, then entries to delete.
/// ARGV: now, owner or '', how many marks, how many news, scope and time of each of both, how many entries to write, and of each when its load
/// began, for how many milliseconds it is kept, and its frame.
/// Both sets are bounded. Past the most, the older half of the marks is given up for one over everything; and of the
/// news without anything, which its readers notice.
const WRITE: &str = r"
local first = 3
if ARGV[2] ~= '' then first = 4 end
local many, told = tonumber(ARGV[3]), tonumber(ARGV[4])
local at = 5 + 2 * (many + told)
local puts = tonumber(ARGV[at])
at = at + 1
if (many > 0 or puts > 0) and not redis.call('ZSCORE', marks, all) then
  mark(all, now - 1)
  keep(marks)
end
for i = 1, many do
  mark(ARGV[3 + 2 * i], tonumber(ARGV[4 + 2 * i]))
end
if many + told > 0 then
  local cursor = last(news) or 0
  for i = 1, many + told do
    cursor = cursor + 1
    redis.call('ZADD', news, cursor, ARGV[3 + 2 * i] .. ARGV[4 + 2 * i])
  end
  local kept = redis.call('ZCARD', news)
  if kept > MAX_MARKS then
    redis.call('ZREMRANGEBYRANK', news, 0, kept - HALF_MARKS - 1)
  end
  keep(news)
end
if many > 0 then
  local kept = redis.call('ZCARD', marks)
  if kept > MAX_MARKS then
    local cut = kept - HALF_MARKS
    local newest_cut = redis.call('ZRANGE', marks, cut - 1, cut - 1, 'WITHSCORES')[2]
    local over = redis.call('ZSCORE', marks, all)
    redis.call('ZREMRANGEBYRANK', marks, 0, cut - 1)
    mark(all, tonumber(newest_cut))
    if over then mark(all, tonumber(over)) end
  end
  keep(marks)
end
for i = 0, puts - 1 do
  local key, created = KEYS[first + i], tonumber(ARGV[at + 3 * i])
  local present = redis.call('GETRANGE', key, 0, 71)
  if not is_frame(present) or number(present, 17) <= created then
    redis.call('SET', key, ARGV[at + 3 * i + 2], 'PX', ARGV[at + 3 * i + 1])
  end
end
for i = first + puts, #KEYS do
  redis.call('DEL', KEYS[i])
end
if ARGV[2] ~= '' and redis.call('GET', KEYS[3]) == ARGV[2] then
  redis.call('DEL', KEYS[3])
end
return 0
";

/// Both scripts, and the names that the server gives them.
pub(super) struct Scripts {
    read: Script,
    write: Script,
}

struct Script {
    code: String,
    hash: String,
}

impl Script {
    fn new(body: &str) -> Self {
        let body = body
            .replace("MAX_MARKS", &MAX_MARKS.to_string())
            .replace("HALF_MARKS", &(MAX_MARKS / 2).to_string());
        let code = format!("{COMMON}{body}");
        let hash = Sha1::from(&code).digest().to_string();
        Self { code, hash }
    }

    /// A call with these keys and arguments.
    fn call<'a>(&'a self, keys: Vec<Cow<'a, str>>, arguments: Vec<Argument<'a>>) -> Call<'a> {
        Call {
            script: self,
            keys,
            arguments,
        }
    }
}

enum Argument<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Packed(Vec<u8>),
    Scope(Scope),
}

impl Argument<'_> {
    fn count(count: usize) -> Self {
        Self::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }

    fn millis(millis: u64) -> Self {
        Self::Number(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            read: Script::new(READ),
            write: Script::new(WRITE),
        }
    }

    pub(super) fn read<'a>(&'a self, batch: &ReadBatch<'a>) -> Call<'a> {
        let lease = batch.lease.zip(batch.entries.first());
        let mut keys = keys(batch.app, batch.entries.len());
        keys.extend(lease.map(|(_, asked)| lease_of(asked.key)));
        keys.extend(batch.entries.iter().map(|asked| Cow::from(asked.key)));
        let news = match batch.news {
            News::None => Argument::Number(-2),
            News::FromNow => Argument::Number(-1),
            News::Since(cursor) => Argument::millis(cursor),
        };
        let wish = lease.map(|(wish, _)| wish);
        let time = wish.map_or(0, |wish| {
            u64::try_from(wish.time.as_millis()).unwrap_or(u64::MAX)
        });
        let arguments = vec![
            Argument::millis(batch.now.get()),
            news,
            Argument::Bytes(wish.map_or(&[], |wish| wish.owner.as_bytes())),
            Argument::millis(time.max(1)),
            Argument::Number(wish.map_or(0, |wish| i64::from(wish.even_if_fresh))),
            Argument::Packed(packed(batch.scopes).collect()),
            Argument::Packed(covers(batch.entries)),
        ];
        self.read.call(keys, arguments)
    }

    pub(super) fn write<'a>(&'a self, batch: &WriteBatch<'a>) -> Call<'a> {
        let mut keys = keys(batch.app, batch.puts.len() + batch.removes.len());
        keys.extend(batch.release.map(|release| lease_of(release.key)));
        keys.extend(batch.puts.iter().map(|put| Cow::from(put.key)));
        keys.extend(batch.removes.iter().map(|key| Cow::from(*key)));
        let owner = batch.release.map_or("", |release| release.owner);
        let mut arguments = vec![
            Argument::millis(batch.now.get()),
            Argument::Bytes(owner.as_bytes()),
            Argument::count(batch.marks.len()),
            Argument::count(batch.news.len()),
        ];
        for mark in batch.marks.iter().chain(batch.news) {
            arguments.push(Argument::Scope(mark.scope));
            arguments.push(Argument::millis(mark.at.get()));
        }
        arguments.push(Argument::count(batch.puts.len()));
        for put in batch.puts {
            let kept = put.until.since(batch.now).as_millis();
            arguments.push(Argument::millis(put.created.get()));
            arguments.push(Argument::millis(
                u64::try_from(kept).unwrap_or(u64::MAX).max(1),
            ));
            arguments.push(Argument::Bytes(put.frame));
        }
        self.write.call(keys, arguments)
    }
}

/// The keys of what an application has one of, with room for more.
fn keys<'a>(app: &str, more: usize) -> Vec<Cow<'a, str>> {
    let mut keys = Vec::with_capacity(more + 3);
    keys.extend([MARKS, NEWS].map(|what| Cow::from(key_of(app, what))));
    keys
}

/// Where an application's marks are.
pub(super) const MARKS: &str = "~marks";
/// Where its news is.
pub(super) const NEWS: &str = "~news";

/// The key of what an application has one of.
pub(super) fn key_of(app: &str, what: &str) -> String {
    let mut key = String::with_capacity(app.len() + 8);
    crate::key::encode(app.as_bytes(), &mut key);
    key.push(':');
    key.push_str(what);
    key
}

fn lease_of(key: &str) -> Cow<'static, str> {
    format!("{key}:~lease").into()
}

fn packed(scopes: &[Scope]) -> impl Iterator<Item = u8> {
    scopes.iter().flat_map(|scope| scope.get().to_le_bytes())
}

/// What covers `entries`, as the script reads it.
fn covers(entries: &[Asked<'_>]) -> Vec<u8> {
    let len = |asked: &Asked<'_>| 10 + 8 * asked.scopes.len();
    let mut all = Vec::with_capacity(entries.iter().map(len).sum());
    for asked in entries {
        // A scope a part, and no key has so many.
        let count = u16::try_from(asked.scopes.len()).unwrap_or(u16::MAX);
        all.extend_from_slice(&count.to_le_bytes());
        all.extend_from_slice(&asked.expiry.get().to_le_bytes());
        all.extend(packed(asked.scopes).take(8 * usize::from(count)));
    }
    all
}

/// A call of a script.
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<Cow<'a, str>>,
    arguments: Vec<Argument<'a>>,
}

impl Request for Call<'_> {
    /// Makes it. The script itself is sent along by a process that is new, and where the server has
    /// forgotten it: so it is one round trip all but always.
    async fn on(&self, connection: &mut MultiplexedConnection, first: bool) -> RedisResult<Value> {
        if !first {
            let by_hash = self.command("EVALSHA", &self.script.hash);
            match connection
                .send_packed_command(&by_hash)
                .await
                .and_then(checked)
            {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {}
                result => return result,
            }
        }
        let whole = self.command("EVAL", &self.script.code);
        connection
            .send_packed_command(&whole)
            .await
            .and_then(checked)
    }
}

impl Call<'_> {
    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(&**key);
        }
        for argument in &self.arguments {
            match argument {
                Argument::Number(number) => command.arg(*number),
                Argument::Bytes(bytes) => command.arg(*bytes),
                Argument::Packed(bytes) => command.arg(bytes.as_slice()),
                Argument::Scope(scope) => command.arg(&scope.get().to_le_bytes()),
            };
        }
        command
    }
}

/// An answer that is an error, as one.
fn checked(value: Value) -> RedisResult<Value> {
    value.extract_error()
}
