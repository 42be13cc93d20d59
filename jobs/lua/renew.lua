-- A worker lives: renew the leases of all it holds, the jobs it runs and those it has fetched but not started.
-- KEYS  1 leases  2 fetched  3.. the records
-- ARGV  1 lease in microseconds  2.. for each record: id, holder ('': fetched, not started)
-- Returns {id, holder, 'force' or '', id, ...}: the jobs that it runs, but that are no longer its own; 'force' when the
-- process of that holder is to be ended.
local lost, expires = {}, whole(micros() + ARGV[1])
for i = 3, #KEYS do  -- pcall: a record that is no hash costs no other job its lease
  local id, holder = ARGV[2 * i - 4], ARGV[2 * i - 3]
  local status, held_by, force = unpack(redis.pcall('HMGET', KEYS[i], 'status', 'holder', 'force'))
  if status == 'New' and force ~= holder then  -- fetched; a process that has it is about to begin it
    redis.call('ZADD', KEYS[2], expires, id)
  elseif status == 'InProgress' and held_by == holder then
    redis.call('ZADD', KEYS[1], expires, id)
  elseif holder ~= '' and (status == 'New' or held_by and held_by ~= '') and status ~= 'Completed' then
    lost[#lost + 1] = id
    lost[#lost + 1] = holder
    lost[#lost + 1] = force == holder and 'force' or ''
  end
end
return lost
