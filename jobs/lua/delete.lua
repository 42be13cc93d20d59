-- Remove a final job and its index entries; its callback is kept for events that are still to be told.
-- KEYS  1 record  2 callback of a deleted job  3.. every index that holds it
-- ARGV  1 id  2 final statuses  3 ms for which the callback is kept
-- Returns {1}; {0, status} it is not final; {-1} no such job.
local status, callback = unpack(redis.call('HMGET', KEYS[1], 'status', 'callback'))
if not status then return {-1} end
if not allowed(ARGV[2], status) then return {0, status} end
if callback then redis.call('SET', KEYS[2], callback, 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return {1}
