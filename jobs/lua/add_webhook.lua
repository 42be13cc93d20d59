-- Add a standing webhook.
-- KEYS  1 webhook  2 webhooks  3.. for each of its events, the webhooks that want it
-- ARGV  1 id  2 how many there may be  3.. fields
-- Returns when it was added, in microseconds; false when there are too many.
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then return false end
local now = whole(micros())
redis.call('HSET', KEYS[1], 'created_at', now, unpack(ARGV, 3))
redis.call('ZADD', KEYS[2], now, ARGV[1])
for i = 3, #KEYS do redis.call('SADD', KEYS[i], ARGV[1]) end
return now
