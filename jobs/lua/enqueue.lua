-- Put the message of a New job into its queue: its time has come, or its message is gone.
-- KEYS  1 record  2 queue  3 who waits in it  4 scheduled  5 fetched
-- ARGV  1 id  2 message ('outside': the caller has handed it to another broker)
--       3 when it began to wait, as the survey said ('': it is scheduled)
--       4 lease in microseconds: the message counts as fetched for so long
--       5 attempt that the job had: one that has begun since is to get another message
-- Returns 1; 0 when that is no longer needed.
local id, since = ARGV[1], ARGV[3]
if redis.call('HGET', KEYS[1], 'status') ~= 'New' then
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  return 0
end
if ARGV[2] == 'outside' and redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[5] then return 0 end
local now = micros()
if since == '' then
  local run_at = redis.call('ZSCORE', KEYS[4], id)
  if not run_at or tonumber(run_at) > now then return 0 end
  redis.call('ZREM', KEYS[4], id)
  if ARGV[2] == 'outside' then return 1 end
  redis.call('LPUSH', KEYS[2], ARGV[2])
  redis.call('ZADD', KEYS[3], whole(now), id)
  redis.call('ZREM', KEYS[5], id)
else
  if redis.call('ZSCORE', KEYS[3], id) ~= since then return 0 end
  if ARGV[2] == 'outside' then
    redis.call('ZREM', KEYS[3], id)
    return 1
  end
  redis.call('RPUSH', KEYS[2], ARGV[2])
  redis.call('ZADD', KEYS[5], whole(now + ARGV[4]), id)
end
return 1
