-- A worker takes a job: the attempt is counted, which makes it the token every later write must carry.
-- KEYS  1 record  2 index of New  3 index of InProgress  4 stream  5 stream of owner
-- ARGV  1 id  2 channel prefix  3 stream length  4 statuses a claim may come from
-- Returns {1, attempt, parameters, type, owner, max_attempts}; {0, status} not to be had; {-1} no such job.
-- Publishes `updated`.
local id = ARGV[1]
local job = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'type', 'owner', 'traceparent', 'parameters',
  'max_attempts')
local status, type, owner = job[1], job[3], job[4]
if not status then return {-1} end
if not allowed(ARGV[4], status) then return {0, status} end

local now, attempt = micros(), tonumber(job[2]) + 1
redis.call('HSET', KEYS[1], 'status', 'InProgress', 'attempt', attempt, 'started_at', whole(now))
redis.call('ZREM', KEYS[2], id)
redis.call('ZADD', KEYS[3], redis.call('HGET', KEYS[1], 'created_at'), id)
emit({record = KEYS[1], stream = KEYS[4], owner_stream = KEYS[5], channel = ARGV[2], length = ARGV[3], id = id,
  type = type, owner = owner, status = 'InProgress', attempt = attempt, traceparent = job[5]}, 'updated', status, '')
return {1, attempt, job[6], type, owner, tonumber(job[7])}
