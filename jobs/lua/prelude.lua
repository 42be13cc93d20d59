-- Shared by every script: scripts.py puts it in front of each.
-- micros()        Redis's own clock, in microseconds since 1970; no host clock is ever compared.
-- whole(n)        a number as digits only (Lua alone would write 1.8e+15).
-- rfc3339(us)     microseconds as RFC 3339 UTC with milliseconds.
-- allowed(list, status)  whether `status` is one of the comma-separated statuses in `list`.
-- is_stale(token, attempt, nonce)  whether a write comes from another attempt than the job's: `token` is the attempt, or
--     the attempt and the nonce of its claim ('2:a1b2c3d4'), or '' for one that is no attempt's.
-- emit(job, event, old_status, data)
--     Appends an event to both streams and publishes it; the caller has written `sequence` into the record.
--     job: {stream, owner_stream, channel, limits, now, id, type, owner, status, attempt, sequence, traceparent, batch}
--     limits: '<hard> <soft> <seconds>': entries a stream holds at most, whatever happens; that are kept while no
--     living group needs more; and how long a group lives that nobody reads with. One event in a hundred trims to soft.
--     data: text of further members of the event's data, each with its leading comma, or ''.
--     event: what follows `job.` in its type; one with a point is the whole type.
-- needed_from(stream, seconds)  the oldest entry that a group still needs of which a consumer was seen within `seconds`:
--     its oldest pending one, else the last one delivered; nil when there is no such group.
-- trim(stream, limits)          remove what is beyond the soft limit and not needed.
-- fields(list)                  a flat reply (name, value, name, value ...) as a table.
-- precedes(a, b)                whether the entry id `a` comes before `b`.
local function micros()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

local function whole(n)
  return string.format('%.0f', n)
end

local function rfc3339(us)
  local ms = math.floor(us / 1000)
  local days, rest = math.floor(ms / 86400000), ms % 86400000
  -- days since 1970 to a civil date, by counting in 400-year eras that begin on 1 March
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(rest / 3600000), math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

local function allowed(list, status)
  return string.find(',' .. list .. ',', ',' .. status .. ',', 1, true) ~= nil
end

local function is_stale(token, attempt, nonce)
  return token ~= '' and token ~= attempt and token ~= attempt .. ':' .. (nonce or '')
end

local function precedes(a, b)
  local a_ms, a_seq = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_seq = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end

local function fields(list)
  local found = {}
  for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
  return found
end

local function needed_from(stream, seconds)
  local oldest
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local lives = false
    group = fields(group)
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group.name)) do
      lives = lives or fields(consumer).idle <= seconds * 1000
    end
    if lives then
      local pending = group.pending > 0 and redis.call('XPENDING', stream, group.name)[2]
      local from = pending or group['last-delivered-id']
      if not oldest or precedes(from, oldest) then oldest = from end
    end
  end
  return oldest
end

local function trim(stream, limits)
  local soft, seconds = string.match(limits, '^%d+ (%d+) (%d+)$')
  local excess = redis.call('XLEN', stream) - soft
  if excess <= 0 then return end
  local needed = needed_from(stream, tonumber(seconds))
  if needed then  -- whole nodes of the stream, of about a hundred entries, as with MAXLEN
    redis.call('XTRIM', stream, 'MINID', '~', needed, 'LIMIT', excess)
  else
    redis.call('XTRIM', stream, 'MAXLEN', '~', soft)
  end
end

local BATCH = 'jobs.batch'  -- the type of a batch's record, as record.py has it

local function kind_of(event)
  return string.find(event, '.', 1, true) and event or 'job.' .. event
end

local function emit(job, event, old_status, data)
  local old = old_status and '"' .. old_status .. '"' or 'null'
  if job.batch then data = data .. ',"batch_id":"' .. job.batch .. '"' end
  local text = table.concat({
    '{"specversion":"1.0","id":"', job.id, ':', job.sequence, '","source":"/jobs","type":"', kind_of(event),
    '","subject":"', job.id, '","time":"', rfc3339(job.now), '","datacontenttype":"application/json","owner":"',
    job.owner, '","sequence":', job.sequence, ',"traceparent":"', job.traceparent, '","data":{"job_id":"', job.id,
    '","job_type":"', job.type, '","owner":"', job.owner, '","status":"', job.status, '","old_status":', old,
    ',"attempt":', job.attempt, data, '}}'})
  local hard = string.match(job.limits, '^%d+')
  local entry = redis.call('XADD', job.stream, 'MAXLEN', '~', hard, '*', 'event', text)
  -- the same id in both, so that a reader may change from one to the other; refused only if jobs:stream was removed
  if redis.pcall('XADD', job.owner_stream, 'MAXLEN', '~', hard, entry, 'event', text).err then
    redis.call('XADD', job.owner_stream, 'MAXLEN', '~', hard, '*', 'event', text)
  end
  if job.now % 100 < 1 then
    trim(job.stream, job.limits)
    trim(job.owner_stream, job.limits)
  end
  redis.call('PUBLISH', job.channel .. event, text)
end
