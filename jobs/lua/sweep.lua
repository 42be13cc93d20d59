-- Remove what is left of jobs whose time is over: index entries, and old events. Events that a living group of a durable
-- subscriber still needs stay, up to the hard limit of their stream.
-- KEYS  1 expiry  2 stream  3 prefix of the records  4 prefix of the owners' indexes  5 of the types'
--       6 of the statuses'  7 of the tags'  8 of the owners' streams
-- ARGV  1 most jobs  2 microseconds an event is kept  3 limits of the streams
-- Returns how many jobs were swept.
local now = micros()
local before = whole((now - ARGV[2]) / 1000) .. '-0'

local function forget_old(stream, how)
  local needed = needed_from(stream, ARGV[2] / 1000000)
  redis.call('XTRIM', stream, 'MINID', how, needed and precedes(needed, before) and needed or before)
end

local swept, owners = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now), 'LIMIT', 0, tonumber(ARGV[1])), {}
for _, entry in ipairs(swept) do
  local id, owner, type, status, tags = unpack(cjson.decode(entry))
  owners[owner] = true
  redis.call('ZREM', KEYS[1], entry)
  if redis.call('EXISTS', KEYS[3] .. id) == 0 then  -- else it was run again since
    redis.call('ZREM', KEYS[4] .. owner, id)
    redis.call('ZREM', KEYS[5] .. type, id)
    redis.call('ZREM', KEYS[6] .. status, id)
    for name, value in pairs(cjson.decode(tags)) do redis.call('ZREM', KEYS[7] .. name .. '=' .. value, id) end
  end
end
for owner in pairs(owners) do
  local events = KEYS[8] .. owner
  if redis.call('EXISTS', events) == 1 then
    forget_old(events, '=')
    if redis.call('XLEN', events) == 0 and #redis.call('XINFO', 'GROUPS', events) == 0 then
      redis.call('DEL', events)
    end
  end
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  trim(KEYS[2], ARGV[3])
  forget_old(KEYS[2], '~')
end
return #swept
