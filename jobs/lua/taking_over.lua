-- Shared by the scripts of durable subscribers that take over from the dead; it stands behind subscription.lua.
-- take_over(group, heir, now, mark)
--     Everything of consumers that are not registered, or whose lease is over at `now`, goes to `heir`: their entries
--     and the jobs that they hold, together. With `mark`, a handler may have died of each of those entries.
local function take_entries(group, from, heir, mark)
  local start, gone, oldest = '-', 0, nil
  while true do
    local pending = redis.call('XPENDING', KEYS[1], group, start, '+', 500, from)
    if #pending == 0 then break end
    local ids = {}
    for i, entry in ipairs(pending) do ids[i] = entry[1] end
    local taken = claim(group, heir, ids)
    start, gone = '(' .. ids[#ids], gone + #ids - #taken
    if #taken < #ids then oldest = oldest or ids[1] end
    if mark then
      for _, id in ipairs(taken) do redis.call('HSETNX', KEYS[4], id, 0) end
    end
  end
  if gone > 0 then
    local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
    note_gap(oldest, first and first[1] or '+', gone)
  end
end

local function take_over(group, heir, now, mark)
  local dead, some = {}, false
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group)) do
    local name = fields(consumer).name
    local deadline = redis.call('ZSCORE', KEYS[2], name)
    if name ~= heir and (not deadline or tonumber(deadline) <= now) then
      take_entries(group, name, heir, mark)
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group, name)
      redis.call('ZREM', KEYS[2], name)
      dead[name], some = true, true
    end
  end
  if not some then return end
  local holds = redis.call('HGETALL', KEYS[3])
  for i = 1, #holds, 2 do
    local holder, entry = string.match(holds[i + 1], '^(%S+) (%S+)$')
    if dead[holder] then redis.call('HSET', KEYS[3], holds[i], heir .. ' ' .. entry) end
  end
end
