-- Remove a final job and its index entries.
-- KEYS  1 record  2.. every index that holds it
-- ARGV  1 id  2 final statuses
-- Returns {1}; {0, status} it is not final; {-1} no such job.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {-1} end
if not allowed(ARGV[2], status) then return {0, status} end
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return {1}
