-- Read a job and, unless it is final, have its end announced on a reply channel too.
-- KEYS  1 record
-- ARGV  1 reply channel  2 final statuses
-- Returns the record as field, value, field, value …; empty when there is no such job.
local status, channels = unpack(redis.call('HMGET', KEYS[1], 'status', 'reply_to'))
if status and not allowed(ARGV[2], status) and not string.find(channels or '', ARGV[1], 1, true) then
  redis.call('HSET', KEYS[1], 'reply_to', channels and channels .. ' ' .. ARGV[1] or ARGV[1])
end
return redis.call('HGETALL', KEYS[1])
