-- A consumer of a durable subscriber ends in order: what it has in hand goes to a living one at once. Where none lives
-- it stays with the consumer, whose lease is over, and goes to the next that joins.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps
-- ARGV  1 group  2 consumer
-- Returns the consumer that has it now, or ''.
local group, me, now = ARGV[1], ARGV[2], micros()
if not redis.call('ZSCORE', KEYS[2], me) or not group_of(KEYS[1], group) then return '' end
redis.call('ZADD', KEYS[2], 0, me)
local heir, deadline = unpack(redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES'))
if tonumber(deadline) <= now then return '' end
take_over(group, heir, now, false)
return heir
