-- Accept a job: record, indexes, event and Celery message in one step, or the job an earlier equal submit made.
-- KEYS  1 record  2 index  3 index of owner  4 index of New  5 index of type  6 stream  7 stream of owner
--       8 queue  9.. one index a tag; last, with a TTL of more than 0, the idempotency key
-- ARGV  1 id  2 owner  3 type  4 channel prefix  5 stream length  6 traceparent  7 fingerprint of the body
--       8 TTL of the idempotency key in ms (0: none was sent)  9 message  10 number of tags  11.. fields of the record
-- Returns {1, id, created_at} accepted; {2, id} this job was submitted before; {3} that id has another body; {4} that key has.
-- Publishes `created`.
local id, owner, fingerprint, ttl, tags = ARGV[1], ARGV[2], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[10])
local key = ttl > 0 and KEYS[9 + tags]
local before = key and redis.call('GET', key)
if before then
  local first, print = string.match(before, '^(%S+) (%S+)$')
  if print ~= fingerprint then return {4} end
  return {2, first}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('HGET', KEYS[1], 'fingerprint') ~= fingerprint then return {3} end
  return {2, id}
end

local now = whole(micros())
redis.call('HSET', KEYS[1], 'type', ARGV[3], 'owner', owner, 'status', 'New', 'attempt', 0, 'created_at', now,
  'traceparent', ARGV[6], 'fingerprint', fingerprint, unpack(ARGV, 11))
for i = 2, 5 do redis.call('ZADD', KEYS[i], now, id) end
for i = 9, 8 + tags do redis.call('ZADD', KEYS[i], now, id) end
if key then redis.call('SET', key, id .. ' ' .. fingerprint, 'PX', ttl) end
if ARGV[9] ~= '' then redis.call('LPUSH', KEYS[8], ARGV[9]) end
emit({record = KEYS[1], stream = KEYS[6], owner_stream = KEYS[7], channel = ARGV[4], length = ARGV[5], id = id,
  type = ARGV[3], owner = owner, status = 'New', attempt = 0, traceparent = ARGV[6]}, 'created', nil, '')
return {1, id, now}
