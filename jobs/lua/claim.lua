-- A worker takes a job: the attempt is counted, and with the nonce it is the token that every later write must carry.
-- KEYS  1 record  2 index of New  3 index of InProgress  4 stream  5 stream of owner  6 who waits in its queue
--       7 leases
-- ARGV  1 id  2 channel prefix  3 limits of the streams  4 statuses a claim may come from  5 holder
--       6 lease in microseconds (0: none is taken)  7 nonce: names this call and its repetitions ('': it has none)
--       8 type  9 owner: those of the message, which may be that of a deleted job with this id
-- Returns {1, attempt, parameters, type, owner, max_attempts}, and the same again for the same nonce; {0, status} not
-- to be had; {-1} no such job.
-- Publishes `updated`.
local id = ARGV[1]
local job = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'type', 'owner', 'traceparent', 'parameters',
  'max_attempts', 'created_at', 'sequence', 'run_at', 'nonce', 'batch')
local status, type, owner, created_at, run_at = job[1], job[3], job[4], job[8], job[10]
if not status then return {-1} end
if status == 'InProgress' and ARGV[7] ~= '' and ARGV[7] == job[11] then
  return {1, tonumber(job[2]), job[6], type, owner, tonumber(job[7])}
end
local now = micros()
if not allowed(ARGV[4], status) or (run_at and tonumber(run_at) > now) then return {0, status} end
if type ~= ARGV[8] or owner ~= ARGV[9] then return {0, status} end

local attempt, sequence = job[2] + 1, job[9] + 1
redis.call('HSET', KEYS[1], 'status', 'InProgress', 'attempt', attempt, 'started_at', whole(now), 'holder', ARGV[5],
  'sequence', sequence, 'nonce', ARGV[7])
if attempt > 1 or run_at then
  redis.call('HDEL', KEYS[1], 'run_at', 'progress')
  if redis.call('HGET', KEYS[1], 'force') == ARGV[5] then redis.call('HDEL', KEYS[1], 'force') end  -- of another attempt
end
redis.call('ZREM', KEYS[2], id)
redis.call('ZADD', KEYS[3], created_at, id)
redis.call('ZREM', KEYS[6], id)
if ARGV[6] ~= '0' then redis.call('ZADD', KEYS[7], whole(now + ARGV[6]), id) end
local told = {stream = KEYS[4], owner_stream = KEYS[5], channel = ARGV[2], limits = ARGV[3], now = now, id = id,
  type = type, owner = owner, status = 'InProgress', attempt = attempt, sequence = sequence, traceparent = job[5], batch = job[12]}
emit(told, 'updated', status, '')
move_in_batch(told, status, 'InProgress')
return {1, attempt, job[6], type, owner, tonumber(job[7])}
