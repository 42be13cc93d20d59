-- A consumer of a durable subscriber lives: its lease is renewed, and what dead ones have left becomes its own.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps  6 subscriptions
-- ARGV  1 group  2 consumer  3 lease in microseconds  4 TTL of keys 2 to 5 in ms  5 name among the subscriptions
--       6 'take' or '' (Redis was away: nobody could renew, so nothing is taken)
-- Returns 1; 0 when it has left, or its lease was over and others have taken all it had; -1 when there is no such group.
local group, me, now = ARGV[1], ARGV[2], micros()
local till = redis.call('ZSCORE', KEYS[2], me)
if not till or till == '0' then return 0 end
local found = group_of(KEYS[1], group)
if not found then return -1 end
redis.call('ZADD', KEYS[2], whole(now + ARGV[3]), me)
redis.call('HSET', KEYS[6], ARGV[5], whole(now))
redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', 1, 'STREAMS', KEYS[1], '0')  -- it was seen: trim() looks at that
if ARGV[6] == 'take' then take_over(group, me, now, true) end
if found.pending == 0 then redis.call('DEL', KEYS[3]) end  -- of entries that were trimmed, a hold may be left
for i = 2, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
return 1
