-- Rename what stands in place of a queue and is no list: nobody could take or leave a message there.
-- KEYS  the queues, and then, in the same order, the names for what is in their place
-- ARGV  1 seconds that it is kept
-- Returns the new names.
local renamed, count = {}, #KEYS / 2
for i = 1, count do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'list' and kind ~= 'none' then
    redis.call('RENAME', KEYS[i], KEYS[count + i])
    redis.call('EXPIRE', KEYS[count + i], ARGV[1])
    renamed[#renamed + 1] = KEYS[count + i]
  end
end
return renamed
