-- Let a delivery that failed be taken again later.
-- KEYS  1 delivery  2 deliveries to its host  3 hosts
-- ARGV  1 id  2 attempt that failed  3 host  4 microseconds from now
-- Returns 1; 0 when another attempt is under way, or it has ended.
local attempt, event = unpack(redis.call('HMGET', KEYS[1], 'attempt', 'event'))
if not event or attempt ~= ARGV[2] then return 0 end
local due = whole(micros() + ARGV[4])
redis.call('ZADD', KEYS[2], due, ARGV[1])
redis.call('ZADD', KEYS[3], 'LT', due, ARGV[3])
return 1
