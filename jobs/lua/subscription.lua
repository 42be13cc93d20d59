-- Shared by the scripts of durable subscribers: scripts.py puts it behind the prelude for those that name it.
-- KEYS of each of them begin with
--       1 stream  2 consumers  3 held jobs  4 attempts  5 gaps
-- group_of(stream, name)        what XINFO GROUPS says of the group; nil when there is none.
-- release(me, argv, first, n)   n pairs (job, entry) from ARGV[first]: who has handled a job's last entry holds it no more.
-- claim(group, consumer, ids)   make the entries the consumer's; the ids of those that there still are.
-- note_gap(after, before, n)    keep that n entries were trimmed that the group still needed, until it has been told.
-- take_over(group, heir, now, mark)
--     Everything of consumers that are not registered, or whose lease is over at `now`, goes to `heir`: their entries
--     and the jobs that they hold, together. With `mark`, a handler may have died of each of those entries.
local function group_of(stream, name)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then
    if string.find(groups.err, 'no such key', 1, true) then return nil end
    error(groups)
  end
  for _, group in ipairs(groups) do
    group = fields(group)
    if group.name == name then return group end
  end
end

local function release(me, argv, first, n)
  if n == 0 then return end
  local jobs, free = {}, {}
  for i = first, first + 2 * n - 2, 2 do jobs[#jobs + 1] = argv[i] end
  local holds = redis.call('HMGET', KEYS[3], unpack(jobs))
  for i, job in ipairs(jobs) do
    if holds[i] == me .. ' ' .. argv[first + 2 * i - 1] then free[#free + 1] = job end
  end
  if #free > 0 then redis.call('HDEL', KEYS[3], unpack(free)) end
end

local function note_gap(after, before, n)
  redis.call('RPUSH', KEYS[5], after .. ' ' .. before .. ' ' .. n)
end

local function claim(group, consumer, ids)
  local command = {'XCLAIM', KEYS[1], group, consumer, 0, unpack(ids)}
  command[#command + 1] = 'JUSTID'
  return redis.call(unpack(command))
end

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
