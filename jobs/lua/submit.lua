-- Accept a job: record, indexes, event and Celery message in one step, or the job an earlier equal submit made; where a
-- key of ours holds something else, nothing is stored.
-- KEYS  1 record  2 index of owner  3 index of New  4 index of type  5 stream  6 stream of owner
--       7 queue  8 who waits in it  9 scheduled  10.. one index a tag; last, with a TTL of more than 0, the
--       idempotency key
-- ARGV  1 id  2 owner  3 type  4 channel prefix  5 limits of the streams  6 traceparent  7 fingerprint of the body
--       8 TTL of the idempotency key in ms (0: none was sent)  9 message ('': it is under way already, 'outside': the
--       caller hands it to another broker)
--       10 delay in microseconds (0: run it now)  11 most jobs that may be New (0: no bound)  12 number of tags
--       13 microseconds after which a reconciler hands it to the other broker  14 fingerprint of the body with its id
--       15.. fields of the record
-- Returns {1, id, created_at, run_at or '', sequence} accepted; {2, id} this job was submitted before; {3} that id has
-- another body; {4} that key has; {5, number of New jobs} too many wait.
-- Publishes `created`.
local id, owner, fingerprint, ttl, tags = ARGV[1], ARGV[2], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[12])
local message, delay, most = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local key = ttl > 0 and KEYS[10 + tags]
local before = earlier(KEYS[1], key, ttl, ARGV[14], fingerprint, id)
if before then return before end
if most > 0 then
  local waiting = redis.call('ZCARD', KEYS[3])
  if waiting >= most then return {5, waiting} end
end

local at, run_at, job = micros(), ''
local stored, refusal = pcall(function()
  if key then redis.call('SET', key, id .. ' ' .. ARGV[14], 'PX', ttl) end
  job = {record = KEYS[1], indexes = {KEYS[2], KEYS[3], KEYS[4], unpack(KEYS, 10, 9 + tags)},
    stream = KEYS[5], owner_stream = KEYS[6], queue = KEYS[7], waiting = KEYS[8], scheduled = KEYS[9], id = id,
    owner = owner, type = ARGV[3], channel = ARGV[4], limits = ARGV[5], traceparent = ARGV[6], now = at,
    fingerprint = fingerprint, message = message, delay = delay, outside_within = ARGV[13], fields = {unpack(ARGV, 15)}}
  run_at = accept(job)
end)
if not stored then
  undo(id)
  error(refusal, 0)
end
return {1, id, whole(at), run_at, job.sequence}
