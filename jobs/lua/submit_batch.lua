-- Accept the jobs of a batch, all of them in one step, or the batch that an earlier equal submit made, or none.
-- KEYS  1 record of the batch  2 its jobs  3 index of owner  4 index of New  5 stream  6 stream of owner
--       7 scheduled  8.. for each kind of job: index of its type, queue, who waits in it; then for each job: record, and
--       one index a tag; last, with a TTL of more than 0, the idempotency key
-- ARGV  1 id  2 owner  3 channel prefix  4 limits of the streams  5 traceparent  6 fingerprint of the body
--       7 TTL of the idempotency key in ms (0: none was sent)  8 most jobs that may be New (0: no bound)
--       9 microseconds after which a reconciler hands a job to another broker  10 number of kinds  11 number of jobs
--       12 fingerprint of the body with its id  13.. the type of each kind; then for each job: its kind, id, message (as for
--       submit), delay in microseconds, number of tags, number of fields, and the fields of its record
-- Returns {1, created_at}; {2, id} submitted before; {3} that id has another body; {4} that key has; {5, number of New jobs} too many
-- wait.
-- Publishes `created` for each job.
local id, owner, fingerprint, ttl, most = ARGV[1], ARGV[2], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local kinds, count = tonumber(ARGV[10]), tonumber(ARGV[11])
local key = ttl > 0 and KEYS[#KEYS]
local before = earlier(KEYS[1], key, ttl, ARGV[12], fingerprint, id)
if before then return before end
local waiting = redis.call('ZCARD', KEYS[4])
if most > 0 and waiting + count > most then return {5, waiting} end

-- what is stored below can only be refused for the type of a key: nothing is stored before all are looked at
local function check(key, kind)
  local is = redis.call('TYPE', key).ok
  if is ~= 'none' and is ~= kind then error({err = 'WRONGTYPE ' .. key .. ' is a ' .. is}) end
end
local kind_of_key = {'hash', 'list', 'zset', 'zset', 'stream', 'stream', 'zset'}
for i = 1, 7 do check(KEYS[i], kind_of_key[i]) end
for i = 8, 7 + 3 * kinds do check(KEYS[i], i % 3 == 0 and 'list' or 'zset') end
for i = 8 + 3 * kinds, #KEYS - (key and 1 or 0) do
  if string.sub(KEYS[i], 1, #KEYS[1] - #id) ~= string.sub(KEYS[1], 1, -1 - #id) then check(KEYS[i], 'zset') end
end

local at, next_key, next_arg, ids = micros(), 8 + 3 * kinds, 13 + kinds, {}
for i = 1, count do
  local kind, job_id, message, delay, tags, size = unpack(ARGV, next_arg, next_arg + 5)
  local indexes = {KEYS[3], KEYS[4], KEYS[8 + 3 * kind], unpack(KEYS, next_key + 1, next_key + tags)}
  accept({record = KEYS[next_key], indexes = indexes, stream = KEYS[5], owner_stream = KEYS[6], scheduled = KEYS[7],
    queue = KEYS[9 + 3 * kind], waiting = KEYS[10 + 3 * kind], id = job_id, owner = owner, type = ARGV[13 + kind],
    channel = ARGV[3], limits = ARGV[4], traceparent = ARGV[5], now = at + i - 1, fingerprint = '-', message = message,
    delay = tonumber(delay), outside_within = ARGV[9], fields = {unpack(ARGV, next_arg + 6, next_arg + 5 + size)},
    batch = id})
  ids[i] = job_id
  next_key, next_arg = next_key + 1 + tags, next_arg + 6 + size
end
for first = 1, count, 1000 do redis.call('RPUSH', KEYS[2], unpack(ids, first, math.min(count, first + 999))) end
redis.call('HSET', KEYS[1], 'type', BATCH, 'owner', owner, 'status', 'New', 'attempt', 0, 'max_attempts', 1, 'queue',
  '', 'priority', 5, 'created_at', whole(at), 'sequence', 0, 'traceparent', ARGV[5], 'fingerprint', fingerprint, 'total',
  count, 'left', count, 'New', count, 'InProgress', 0, 'Completed', 0, 'Failed', 0, 'Cancelled', 0)
if key then redis.call('SET', key, id .. ' ' .. ARGV[12], 'PX', ttl) end
return {1, whole(at)}
