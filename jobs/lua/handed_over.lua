-- The message of a new job is with another broker: a reconciler need not hand it over, unless that loses it. A job that has
-- moved meanwhile is left as it is: it may wait for its next attempt, or be another one with this id.
-- KEYS  1 record  2 scheduled  3 who waits in its queue
-- ARGV  1 id  2 sequence that it had when it was accepted
local status, sequence = unpack(redis.call('HMGET', KEYS[1], 'status', 'sequence'))
if status ~= 'New' then
  redis.call('ZREM', KEYS[2], ARGV[1])
elseif sequence == ARGV[2] then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], whole(micros()), ARGV[1])
end
