-- For the scripts that accept jobs: scripts.py puts it behind the prelude.
-- earlier(record, key, ttl, under_key, fingerprint, id)  What a script answers whose submit came before, be it under an
--     idempotency key or an id: {2, id} with the same body, {3} that id has another body, {4} that key has; nil if it is new.
--     under_key is the fingerprint of the body with its id. A key whose job is gone is free; one that comes with an id
--     that is known is that job's from then on.
-- accept(job)     Stores a New job: record, indexes, message or place among the scheduled, event; when it runs, or ''.
--     Sets job.sequence: 1, or what follows on the events of a deleted job with this id, whose own ids have it in them.
--     job: what emit needs, and {record, indexes, queue, waiting, scheduled, message, delay, outside_within, fingerprint,
--     fields}. message: '' it is under way already, 'outside' the caller hands it to another broker; delay and
--     outside_within in microseconds; fields: further ones of the record, name, value, name, value ...
local function earlier(record, key, ttl, under_key, fingerprint, id)
  local before = key and redis.call('GET', key)
  if before then
    local first, print = string.match(before, '^(%S+) (%S+)$')
    if redis.call('EXISTS', string.sub(record, 1, -1 - #id) .. first) == 1 then
      return print == under_key and {2, first} or {4}
    end
  end
  local print = redis.call('HGET', record, 'fingerprint')
  if not print then return end
  if print ~= fingerprint then return {3} end
  if key then redis.call('SET', key, id .. ' ' .. under_key, 'PX', ttl) end
  return {2, id}
end

local function accept(job)
  local now, run_at = whole(job.now), job.delay > 0 and whole(job.now + job.delay) or ''
  local deleted = job.fingerprint ~= '-' and redis.call('GET', job.record .. ':deleted')  -- '-': the id is a new one
  job.status, job.attempt, job.sequence = 'New', 0, (deleted or 0) + 1
  redis.call('HSET', job.record, 'type', job.type, 'owner', job.owner, 'status', 'New', 'attempt', 0, 'created_at', now,
    'sequence', job.sequence, 'traceparent', job.traceparent, 'fingerprint', job.fingerprint, unpack(job.fields))
  for _, index in ipairs(job.indexes) do redis.call('ZADD', index, now, job.id) end
  if job.delay > 0 then
    redis.call('HSET', job.record, 'run_at', run_at)
    redis.call('ZADD', job.scheduled, run_at, job.id)
  elseif job.message == 'outside' then
    redis.call('ZADD', job.scheduled, whole(job.now + job.outside_within), job.id)
  elseif job.message ~= '' then
    redis.call('LPUSH', job.queue, job.message)
    redis.call('ZADD', job.waiting, now, job.id)
  end
  emit(job, 'created', nil, '')
  return run_at
end
