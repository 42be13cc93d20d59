-- Give a job its final status, once: record, index, events and the wake-up of whoever waits.
-- KEYS  1 record  2 index of New  3 index of InProgress  4 index of the final status  5 stream  6 stream of owner
--       7 durations of the type
-- ARGV  1 id  2 channel prefix  3 stream length  4 final status  5 statuses it may come from
--       6 attempt that writes ('': whoever)  7 event  8 field ('result', 'error' or '')  9 its value, as JSON
--       10 text for the event's data  11 ms the record is kept from now
-- Returns {1}; {2} this very attempt wrote this before; {0, status, attempt} refused; {-1} no such job.
-- Publishes `completed`, `failed` or `cancelled`, and [id, [field, value, ...]] on each reply channel.
local id, final, attempt, field = ARGV[1], ARGV[4], ARGV[6], ARGV[8]
local job = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'type', 'owner', 'traceparent', 'created_at',
  'started_at', 'reply_to')
local status = job[1]
if not status then return {-1} end
local fenced = attempt ~= '' and attempt ~= job[2]
if status == final and not fenced then return {2} end
if fenced or not allowed(ARGV[5], status) then return {0, status, tonumber(job[2])} end

local now = micros()
redis.call('HSET', KEYS[1], 'status', final, 'finished_at', whole(now))
if field ~= '' then redis.call('HSET', KEYS[1], field, ARGV[9]) end
redis.call('HDEL', KEYS[1], 'reply_to')
redis.call('ZREM', status == 'New' and KEYS[2] or KEYS[3], id)
redis.call('ZADD', KEYS[4], job[6], id)
local data = ARGV[10]
if job[7] then
  local seconds = (now - job[7]) / 1000000
  data = data .. string.format(',"duration":%.6f', seconds)
  -- a bucket is a step of 20 % in milliseconds: durations.py reads it
  if final == 'Completed' then
    redis.call('HINCRBY', KEYS[7], math.max(0, math.ceil(math.log(seconds * 1000) / math.log(1.2))), 1)
  end
end
emit({record = KEYS[1], stream = KEYS[5], owner_stream = KEYS[6], channel = ARGV[2], length = ARGV[3], id = id,
  type = job[3], owner = job[4], status = final, attempt = job[2], traceparent = job[5]}, ARGV[7], status, data)
redis.call('PEXPIRE', KEYS[1], ARGV[11])
if job[8] then
  local told = cjson.encode({id, redis.call('HGETALL', KEYS[1])})
  for channel in string.gmatch(job[8], '%S+') do redis.call('PUBLISH', channel, told) end
end
return {1}
