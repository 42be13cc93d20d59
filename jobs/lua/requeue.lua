-- Put a job back to New, to be run again: now, or after a delay.
-- KEYS  1 record  2 index of the status it has  3 index of New  4 stream  5 stream of owner  6 queue
--       7 who waits in it  8 scheduled  9 leases  10 counts  11 fetched
-- ARGV  1 id  2 channel prefix  3 limits of the streams  4 statuses it may come from
--       5 token of the attempt it must have  6 holder it must have ('': whoever)  7 'expired': only when its lease is over, or ''
--       8 delay in microseconds  9 message ('outside': a reconciler hands it to another broker)
--       10 error as JSON ('': none to tell)  11 attempts it may have from now on
--       12 lease in microseconds: the message counts as fetched for so long
-- Returns {1}; {2} its attempts are used up; {0, status, attempt} refused; {-1} no such job.
-- Publishes `updated`.
local id, holder, delay, err, most = ARGV[1], ARGV[6], tonumber(ARGV[8]), ARGV[10], tonumber(ARGV[11])
local job = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'type', 'owner', 'traceparent', 'created_at',
  'sequence', 'holder', 'batch', 'nonce')
local status, now = job[1], micros()
if not status then return {-1} end
local stale = is_stale(ARGV[5], job[2], job[10]) or (holder ~= '' and holder ~= job[8])
local lease = ARGV[7] ~= '' and redis.call('ZSCORE', KEYS[9], id)
if stale or not allowed(ARGV[4], status) or (lease and tonumber(lease) > now) then
  if stale then redis.call('HINCRBY', KEYS[10], 'stale_writes_refused', 1) end
  return {0, status, tonumber(job[2])}
end
if tonumber(job[2]) >= most then return {2} end

local sequence = job[7] + 1
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], 'status', 'New', 'max_attempts', most, 'sequence', sequence)
redis.call('HDEL', KEYS[1], 'holder', 'nonce', 'started_at', 'finished_at', 'result', 'error', 'progress',
  'run_at')
redis.call('ZREM', KEYS[2], id)
redis.call('ZADD', KEYS[3], job[6], id)
if err ~= '' then redis.call('HSET', KEYS[1], 'error', err) end
if delay > 0 then
  redis.call('HSET', KEYS[1], 'run_at', whole(now + delay))
  redis.call('ZADD', KEYS[8], whole(now + delay), id)
elseif ARGV[9] == 'outside' then
  redis.call('ZADD', KEYS[8], whole(now), id)
else
  redis.call('RPUSH', KEYS[6], ARGV[9])
  redis.call('ZADD', KEYS[7], job[6], id)
  redis.call('ZADD', KEYS[11], whole(now + ARGV[12]), id)
end
redis.call('ZREM', KEYS[9], id)
local told = {stream = KEYS[4], owner_stream = KEYS[5], channel = ARGV[2], limits = ARGV[3], now = now, id = id,
  type = job[3], owner = job[4], status = 'New', attempt = job[2], sequence = sequence, traceparent = job[5], batch = job[9]}
emit(told, 'updated', status, err == '' and '' or ',"error":' .. err)
move_in_batch(told, status, 'New')
return {1}
