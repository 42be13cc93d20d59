-- What submit.lua needs besides the prelude: scripts.py puts it in front.
-- undo(id)        takes a job that could not be stored to its end out of every key of KEYS, the first of which is its
--                 record; what is not of the type that it should be is left alone.
local function undo(id)
  local function holds(text) return text and string.find(text, id, 1, true) end
  redis.call('DEL', KEYS[1])
  for i = 2, #KEYS do
    local key, kind = KEYS[i], redis.call('TYPE', KEYS[i]).ok
    if kind == 'zset' then
      redis.call('ZREM', key, id)
    elseif kind == 'list' and holds(redis.call('LINDEX', key, 0)) then
      redis.call('LPOP', key)
    elseif kind == 'string' and holds(redis.call('GET', key)) then
      redis.call('DEL', key)
    elseif kind == 'stream' then
      local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
      if last and holds(last[2][2]) then
        redis.call('XDEL', key, last[1])
        if redis.call('XLEN', key) == 0 and #redis.call('XINFO', 'GROUPS', key) == 0 then redis.call('DEL', key) end
      end
    end
  end
end
