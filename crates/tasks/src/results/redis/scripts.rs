use std::sync::LazyLock;

use crate::redis::Script;

/// Stores the result `ARGV[1]` for `ARGV[2]` seconds and tells of it, unless there is a SUCCESS.
pub(super) static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"
local beginning = redis.call('GETRANGE', KEYS[1], 0, 63)
if beginning ~= '' then
  local status = string.match(beginning, '^%s*{%s*"status"%s*:%s*"([^"]*)"')
  if not status then
    local is_json, meta = pcall(cjson.decode, redis.call('GET', KEYS[1]))
    status = is_json and type(meta) == 'table' and meta.status
  end
  if status == 'SUCCESS' then return 0 end
end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"#,
    )
});

/// A part of a chord is done, in the counters of Celery 5.7 (`CHORD_PART_RETURN_LUA` of its Redis backend).
///
/// Keys: the parts, the difference to the size, the size, the parts that are known, the group, who sends the body. Arguments: the
/// task's id, its entry, its place, for how many seconds all that is kept, for how many seconds the body is ours to send, and the
/// token that says so. Returns 0, or 1 and, where the body is ours to send, the group where it was saved, and the entries.
pub(super) static PART: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local parts, difference, size, known, group, sender = unpack(KEYS)
local id, entry, place, expires, ours, token = unpack(ARGV)
if redis.call('GET', sender) == 'done' then return {0} end
-- A task that was delivered twice is one part, whatever it returned.
if redis.call('SADD', known, id .. ':' .. place) == 1 then
  redis.call('ZADD', parts, place, entry)
end
if expires ~= '0' then
  for key = 1, 5 do redis.call('EXPIRE', KEYS[key], expires) end
end
local count = redis.call('GET', size)
if not count then return {0} end
if redis.call('ZCARD', parts) ~= tonumber(count) + tonumber(redis.call('GET', difference) or 0) then return {0} end
if redis.call('GET', sender) ~= token and not redis.call('SET', sender, token, 'NX', 'EX', ours) then return {0} end
local saved = redis.call('GET', group)
return {1, saved, redis.call('ZRANGE', parts, 0, -1)}
",
    )
});

/// The body has been sent by the owner of `ARGV[1]`. Late duplicates of parts find that out for `ARGV[2]` seconds.
pub(super) static FINISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local parts, difference, size, known, sender = unpack(KEYS)
if redis.call('GET', sender) ~= ARGV[1] then return 0 end
redis.call('DEL', parts, difference, size, known)
redis.call('SET', sender, 'done', 'EX', ARGV[2])
return 1
",
    )
});
