-- A New job whose message another broker has no longer, for no worker could run it, is to get another one in a while.
-- KEYS  1 record  2 scheduled  3 who waits in its queue
-- ARGV  1 id  2 microseconds from now
if redis.call('HGET', KEYS[1], 'status') ~= 'New' then return end
redis.call('ZADD', KEYS[2], 'NX', whole(micros() + ARGV[2]), ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
