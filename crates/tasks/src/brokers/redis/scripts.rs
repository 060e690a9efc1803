//! What the server does in one step.

use std::sync::LazyLock;

use crate::redis::Script;

/// Takes up to `ARGV[3]` messages and notes them as not acknowledged, under the tags `<worker>:<number>`, numbers from `ARGV[2]`. Of each
/// priority, each queue gives its share. Nothing at all where the worker `ARGV[1]` is none any more.
///
/// Keys: `unacked`, its index, the workers; then the lists, by priority, `ARGV[4]` queues each. Arguments from the fifth: what follows
/// a message of the queue in kombu's record of it.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local worker, number = ARGV[1], tonumber(ARGV[2])
local left, queues = tonumber(ARGV[3]), tonumber(ARGV[4])
local now
if worker ~= '' then
  local beat = redis.call('ZSCORE', KEYS[3], worker)
  if not beat or tonumber(beat) == 0 then return false end
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local taken = {}
for first = 4, #KEYS, queues do
  local open = {}
  for queue = 0, queues - 1 do open[#open + 1] = queue end
  while left > 0 and #open > 0 do
    local share = math.max(1, math.floor(left / #open))
    local more = {}
    for _, queue in ipairs(open) do
      local count = math.min(share, left)
      local messages = count > 0 and redis.call('RPOP', KEYS[first + queue], count)
      if messages then
        for _, message in ipairs(messages) do
          if now then
            local tag = worker .. ':' .. string.format('%.0f', number)
            redis.call('HSET', KEYS[1], tag, '[' .. message .. ARGV[5 + queue])
            redis.call('ZADD', KEYS[2], now, tag)
            number = number + 1
          end
          taken[#taken + 1] = queue
          taken[#taken + 1] = message
        end
        left = left - #messages
        if #messages == count then more[#more + 1] = queue end
      end
    end
    open = more
  end
end
return taken
",
    )
});

/// Acknowledges messages that are all still held, else none; returns whether. Keys: `unacked`, its index, the workers. Arguments: the
/// worker's two names; 1 where the same was asked before and had no answer; the tags.
pub(super) static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local held = 0
for at = 4, #ARGV do held = held + redis.call('HEXISTS', KEYS[1], ARGV[at]) end
if held == 0 and ARGV[3] == '1' then
  -- That was done then, unless the worker is dead: others have put all back.
  local beat = redis.call('ZSCORE', KEYS[3], ARGV[1]) or redis.call('ZSCORE', KEYS[3], ARGV[2])
  return (beat and tonumber(beat) > 0) and 1 or 0
end
if held < #ARGV - 3 then return 0 end
for at = 4, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[at])
  redis.call('ZREM', KEYS[2], ARGV[at])
end
return 1
",
    )
});

/// Puts messages back. Keys: `unacked`, its index, the lists. Arguments: the visibility timeout, where only what is due by it is to be put
/// back, else nothing; then of each its tag, its text, the number of lists and their places among the keys.
pub(super) static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local due
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  due = time[1] + time[2] / 1000000 - ARGV[1]
end
local restored = 0
local at = 2
while at <= #ARGV do
  local tag, lists = ARGV[at], tonumber(ARGV[at + 2])
  local score = due and redis.call('ZSCORE', KEYS[2], tag)
  if not due or (score and tonumber(score) <= due) then
    redis.call('ZREM', KEYS[2], tag)
    if redis.call('HDEL', KEYS[1], tag) == 1 then
      for list = at + 3, at + 2 + lists do
        redis.call('RPUSH', KEYS[tonumber(ARGV[list])], ARGV[at + 1])
      end
      restored = restored + 1
    end
  end
  at = at + 3 + lists
end
return restored
",
    )
});

/// What is due by the visibility timeout `ARGV[1]`, the oldest last: up to `ARGV[2]` tags, each with its record.
pub(super) static DUE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local due = time[1] + time[2] / 1000000 - ARGV[1]
local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', due, 'LIMIT', 0, ARGV[2])
local found = {}
for place = #tags, 1, -1 do
  found[#found + 1] = tags[place]
  found[#found + 1] = redis.call('HGET', KEYS[1], tags[place])
end
return found
",
    )
});

/// Renames the record of `ARGV[1]` to `ARGV[2]`, with the score `ARGV[3]`.
pub(super) static PARK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[2], record)
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return 1
",
    )
});

/// Changes the record of `ARGV[1]` from `ARGV[2]` to `ARGV[3]`; returns whether it is that now.
pub(super) static CHANGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local record = redis.call('HGET', KEYS[1], ARGV[1])
if record == ARGV[3] then return 1 end
if record ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
",
    )
});

/// Renews what is held. Keys: the index of `unacked`. Arguments: tags.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for _, tag in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'XX', now, tag) end
return 1
",
    )
});

/// A sign of life of the worker `ARGV[1]`, or its first where `ARGV[2]` is 1. Who has given none for `ARGV[3]` seconds is dead, which is
/// told by the score 0; for `ARGV[4]` seconds nobody is, where nobody could. Returns the dead; nothing where the worker itself is dead.
pub(super) static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[2] ~= '1' and (not beat or tonumber(beat) == 0) then return false end
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if newest and now - newest > tonumber(ARGV[4]) then redis.call('SET', KEYS[2], 1, 'EX', ARGV[4]) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', now - ARGV[3])) do
    redis.call('ZADD', KEYS[1], 0, worker)
  end
end
return redis.call('ZRANGEBYSCORE', KEYS[1], 0, 0)
",
    )
});

/// The worker `ARGV[1]` takes no more, and lives on as `ARGV[2]`.
pub(super) static CLOSE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not beat then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], beat, ARGV[2])
return 1
",
    )
});

/// Binds a queue that expires: the member `ARGV[1]` of the exchange `ARGV[2]`, for `ARGV[3]` milliseconds at least.
pub(super) static BIND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], 'GT', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3], ARGV[2])
return 1
",
    )
});

/// Deletes lists; returns how much was in them.
pub(super) static PURGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local count = 0
for _, key in ipairs(KEYS) do
  count = count + redis.call('LLEN', key)
  redis.call('DEL', key)
end
return count
",
    )
});
