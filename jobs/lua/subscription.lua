-- Shared by the scripts of durable subscribers: scripts.py puts it behind the prelude for those that name it.
-- KEYS of each of them begin with
--       1 stream  2 consumers  3 held jobs  4 attempts  5 gaps
-- group_of(stream, name)        what XINFO GROUPS says of the group; nil when there is none.
-- release(me, argv, first, n)   n pairs (job, entry) from ARGV[first]: who has handled a job's last entry holds it no more.
-- claim(group, consumer, ids)   make the entries the consumer's; the ids of those that there still are.
-- note_gap(after, before, n)    keep that n entries were trimmed that the group still needed, until it has been told.
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
