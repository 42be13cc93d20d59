-- Record how far a running attempt is; refused when the job has moved on without it.
-- KEYS  1 record  2 stream  3 stream of owner  4 counts
-- ARGV  1 id  2 channel prefix  3 limits of the streams  4 token of the attempt  5 progress as JSON ('': only look)
-- Returns {1}; {0, status, attempt} this attempt is no longer the job's; {-1} no such job.
-- Publishes `progress`.
local id, progress = ARGV[1], ARGV[5]
local job = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'type', 'owner', 'traceparent', 'sequence', 'batch',
  'nonce')
local status, attempt = job[1], job[2]
if not status then return {-1} end
local stale = is_stale(ARGV[4], attempt, job[8])
if status ~= 'InProgress' or stale then
  if stale then redis.call('HINCRBY', KEYS[4], 'stale_writes_refused', 1) end
  return {0, status, tonumber(attempt)}
end
if progress == '' then return {1} end

local sequence = job[6] + 1
redis.call('HSET', KEYS[1], 'progress', progress, 'sequence', sequence)
emit({stream = KEYS[2], owner_stream = KEYS[3], channel = ARGV[2], limits = ARGV[3], now = micros(), id = id,
  type = job[3], owner = job[4], status = status, attempt = attempt, sequence = sequence, traceparent = job[5],
  batch = job[7]}, 'progress', status, ',"progress":' .. progress)
return {1}
