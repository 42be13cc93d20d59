-- Make deliveries of an event: to its job's callback and to each webhook that wants it. A repeat of the event makes none.
-- KEYS  1 record  2 callback of a deleted job  3 sign that the callback is gone  4 webhooks that want the event, of the
--       owner  5 the same, of everybody's jobs  6 hosts  7 prefix of the deliveries to a host  8 prefix of the
--       deliveries  9 prefix of the webhooks  10 deliveries set aside
-- ARGV  1 event id  2 job id  3 event name  4 its time  5 the event  6 how many may wait for one host
--       7 how many are kept that were set aside, about
-- Returns the number of new deliveries.
local now, planned = micros(), 0

local function plan(target, url)
  local id = ARGV[1] .. ' ' .. target
  if redis.call('EXISTS', KEYS[8] .. id) == 1 then return end
  if redis.call('ZCARD', KEYS[7] .. host_of(url)) >= tonumber(ARGV[6]) then
    redis.call('XADD', KEYS[10], 'MAXLEN', '~', ARGV[7], '*', 'reason', 'too many deliveries wait for this host',
      'delivery', id, 'url', url, 'event', ARGV[5], 'attempts', 0, 'at', rfc3339(now))
    return
  end
  deliver({KEYS[6], KEYS[7], KEYS[8]}, now, {id = id, event_id = ARGV[1], job_id = ARGV[2], target = target, url = url,
    event = ARGV[5]})
  planned = planned + 1
end

local callback = redis.pcall('HGET', KEYS[1], 'callback')  -- pcall: a record that is no hash has none
if redis.call('EXISTS', KEYS[1]) == 0 then callback = redis.call('GET', KEYS[2]) end
if type(callback) ~= 'string' then callback = nil end
if callback and redis.call('EXISTS', KEYS[3]) == 0 then
  local events, url = string.match(callback, '^(%S+) (%S+)$')
  if allowed(events, ARGV[3]) then plan('callback', url) end
end
for i = 4, 5 do
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[i])) do
    local url, created_at = unpack(redis.call('HMGET', KEYS[9] .. id, 'url', 'created_at'))
    if url and rfc3339(created_at) <= ARGV[4] then plan(id, url) end
  end
end
return planned
