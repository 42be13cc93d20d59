-- Remove a final job and its index entries; its callback is kept for events that are still to be told, and, where
-- the caller chose its id, its sequence for another job that is given that id.
-- KEYS  1 record  2 callback of a deleted job  3 sign that its callback is gone  4.. every index that holds it
-- ARGV  1 id  2 final statuses  3 ms for which these two are kept
-- Returns {1}; {0, status} it is not final; {-1} no such job.
local status, callback, sequence, fingerprint = unpack(
  redis.call('HMGET', KEYS[1], 'status', 'callback', 'sequence', 'fingerprint'))
if not status then return {-1} end
if not allowed(ARGV[2], status) then return {0, status} end
redis.call('DEL', KEYS[2], KEYS[3])  -- of another job with this id
if callback then redis.call('SET', KEYS[2], callback, 'PX', ARGV[3]) end
if fingerprint and fingerprint ~= '-' then redis.call('SET', KEYS[1] .. ':deleted', sequence, 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
for i = 4, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return {1}
