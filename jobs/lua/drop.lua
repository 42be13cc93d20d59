-- Forget a subscription and everything it was kept with, unless a process of it lives.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps  6 subscriptions  7 dead letters
-- ARGV  1 group  2 name among the subscriptions
-- Returns -1 when there is no such subscription, else how many processes live: with 0 it is gone.
local found = group_of(KEYS[1], ARGV[1])
if not found and redis.call('HEXISTS', KEYS[6], ARGV[2]) == 0 then return -1 end
local living = redis.call('ZCOUNT', KEYS[2], '(' .. whole(micros()), '+inf')
if living > 0 then return living end
if found then redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[7])
redis.call('HDEL', KEYS[6], ARGV[2])
return 0
