-- For the scripts that move a job: scripts.py puts it behind the prelude.
-- move_in_batch(job, from, to, keep)  A job of a batch has moved: the batch counts it, and ends with the last of its jobs.
--     job: what emit needs. keep: microseconds for which a batch that has ended is kept. Publishes `batch.completed`, and
--     [id, [field, value, ...]] on each reply channel of the batch, which has its record where jobs have theirs.
local GOES_ON = {New = true, InProgress = true}

local function end_batch(key, id, job, keep)
  local batch = redis.call('HMGET', key, 'created_at', 'reply_to', 'sequence', 'total', 'Completed', 'Failed', 'Cancelled',
    'traceparent')
  local sequence = batch[3] + 1
  redis.call('HSET', key, 'status', 'Completed', 'finished_at', whole(job.now), 'sequence', sequence)
  redis.call('HDEL', key, 'reply_to')
  redis.call('PEXPIRE', key, whole(keep / 1000))
  redis.call('PEXPIRE', key .. ':jobs', whole(keep / 1000))
  local data = string.format(',"total":%d,"counts":{"Completed":%d,"Failed":%d,"Cancelled":%d},"duration":%.6f', batch[4],
    batch[5], batch[6], batch[7], (job.now - batch[1]) / 1000000)
  emit({stream = job.stream, owner_stream = job.owner_stream, channel = job.channel, limits = job.limits, now = job.now,
    id = id, type = BATCH, owner = job.owner, status = 'Completed', attempt = 0, sequence = sequence,
    traceparent = batch[8], batch = id}, 'batch.completed', 'InProgress', data)
  if batch[2] then
    local told = cjson.encode({id, redis.call('HGETALL', key)})
    for channel in string.gmatch(batch[2], '%S+') do redis.call('PUBLISH', channel, told) end
  end
end

local function move_in_batch(job, from, to, keep)
  local key = job.batch and string.sub(KEYS[1], 1, -1 - #job.id) .. job.batch
  if not key or redis.call('EXISTS', key) == 0 then return end
  redis.call('HINCRBY', key, from, -1)
  redis.call('HINCRBY', key, to, 1)
  local ended = (GOES_ON[from] and 0 or -1) + (GOES_ON[to] and 0 or 1)
  local left = ended ~= 0 and redis.call('HINCRBY', key, 'left', -ended)
  if left == 0 then
    end_batch(key, job.batch, job, keep)
  elseif redis.call('HGET', key, 'status') ~= 'InProgress' then
    redis.call('HSET', key, 'status', 'InProgress')
    redis.call('HDEL', key, 'finished_at')
    redis.call('PERSIST', key)
    redis.call('PERSIST', key .. ':jobs')
  end
end
