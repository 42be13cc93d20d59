-- Give a job its final status, once: record, index, events and the wake-up of whoever waits.
-- KEYS  1 record  2 index of New  3 index of InProgress  4 index of the final status  5 stream  6 stream of owner
--       7 durations of the type  8 who waits in its queue  9 scheduled  10 leases  11 expiry  12 counts
-- ARGV  1 id  2 channel prefix  3 limits of the streams  4 final status  5 statuses it may come from
--       6 token of the attempt that writes ('': whichever)  7 its holder ('': whoever)  8 event
--       9 field ('result', 'error' or '')  10 its value, as JSON  11 text for the event's data
--       12 microseconds the record is kept from now  13 'force' to have the process of its holder ended, or ''
-- Returns {1}; {2} this very attempt wrote this before; {0, status, attempt} refused; {-1} no such job.
-- Publishes `completed`, `failed` or `cancelled`, and [id, [field, value, ...]] on each reply channel.
local id, final, token, holder, field, keep = ARGV[1], ARGV[4], ARGV[6], ARGV[7], ARGV[9], tonumber(ARGV[12])
local job = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'type', 'owner', 'traceparent', 'created_at',
  'started_at', 'reply_to', 'sequence', 'holder', 'tags', 'batch', 'nonce', 'error')
local status = job[1]
if not status then return {-1} end
local stale = is_stale(token, job[2], job[13]) or (holder ~= '' and holder ~= job[10])
if status == final and not stale then
  if ARGV[13] ~= '' and job[10] then redis.call('HSET', KEYS[1], 'force', job[10]) end
  return {2}
end
if stale or not allowed(ARGV[5], status) then
  if stale then
    redis.call('HINCRBY', KEYS[12], 'stale_writes_refused', 1)
  elseif token ~= '' then
    redis.call('HDEL', KEYS[1], 'force')  -- it has ended by itself
  end
  return {0, status, tonumber(job[2])}
end

local now, sequence = micros(), job[9] + 1
local fields = {'status', final, 'finished_at', whole(now), 'sequence', sequence}
if field ~= '' then fields[7], fields[8] = field, ARGV[10] end
if ARGV[13] ~= '' and job[10] then fields[#fields + 1] = 'force'; fields[#fields + 1] = job[10] end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HDEL', KEYS[1], 'reply_to', 'run_at', final == 'Completed' and 'error' or 'result')
if status == 'New' then
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[8], id)
  redis.call('ZREM', KEYS[9], id)
else
  redis.call('ZREM', KEYS[3], id)
end
redis.call('ZREM', KEYS[10], id)
redis.call('ZADD', KEYS[4], job[6], id)
redis.call('HINCRBY', KEYS[12], 'finished', 1)
local data = ARGV[11]
if final == 'Cancelled' and job[14] then data = data .. ',"error":' .. job[14] end  -- of an attempt before
if job[7] then
  local seconds = (now - job[7]) / 1000000
  data = data .. string.format(',"duration":%.6f', seconds)
  -- a bucket is a step of 5 % in milliseconds: durations.py reads it
  if final == 'Completed' then
    redis.call('HINCRBY', KEYS[7], math.max(0, math.ceil(math.log(seconds * 1000) / math.log(1.05))), 1)
  end
end
local told = {stream = KEYS[5], owner_stream = KEYS[6], channel = ARGV[2], limits = ARGV[3], now = now, id = id,
  type = job[3], owner = job[4], status = final, attempt = job[2], sequence = sequence, traceparent = job[5], batch = job[12]}
emit(told, ARGV[8], status, data)
redis.call('PEXPIRE', KEYS[1], whole(keep / 1000))
redis.call('ZADD', KEYS[11], whole(now + keep), cjson.encode({id, job[4], job[3], final, job[11] or '{}'}))
if job[8] then
  local reply = cjson.encode({id, redis.call('HGETALL', KEYS[1])})
  for channel in string.gmatch(job[8], '%S+') do redis.call('PUBLISH', channel, reply) end
end
move_in_batch(told, status, final, keep)
return {1}
