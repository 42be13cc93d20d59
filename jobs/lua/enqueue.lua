-- Put the message of a New job into its queue: its time has come, or its message is gone.
-- KEYS  1 record  2 queue  3 who waits in it  4 scheduled  5 fetched
-- ARGV  1 id  2 message ('outside': the caller has handed it to another broker)
--       3 when it began to wait, as the survey said ('': it is scheduled)
--       4 lease in microseconds: the message counts as fetched for so long
--       5 sequence that the job had: one that has moved since is looked at again, and may need another message
-- Returns 1; 0 when that is no longer needed.
local id, message, since, is_outside = ARGV[1], ARGV[2], ARGV[3], ARGV[2] == 'outside'
local status, sequence = unpack(redis.call('HMGET', KEYS[1], 'status', 'sequence'))
if status ~= 'New' then
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  return 0
end
if sequence ~= ARGV[5] then return 0 end
local now = micros()
if since == '' then
  local run_at = redis.call('ZSCORE', KEYS[4], id)
  if not run_at or tonumber(run_at) > now then return 0 end
  redis.call('ZREM', KEYS[4], id)
  if not is_outside then redis.call('LPUSH', KEYS[2], message) end
else
  if redis.call('ZSCORE', KEYS[3], id) ~= since then return 0 end
  if not is_outside then
    redis.call('RPUSH', KEYS[2], message)
    redis.call('ZADD', KEYS[5], whole(now + ARGV[4]), id)
    return 1
  end
end
redis.call('ZADD', KEYS[3], whole(now), id)
redis.call('ZREM', KEYS[5], id)
return 1
