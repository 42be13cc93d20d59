-- A worker says which job types it runs; said again and again, so that the front door knows who lives.
-- KEYS  1 types  2 types seen
-- ARGV  1.. name, description as JSON, name, description …
-- Returns the number of types.
local now = redis.call('TIME')[1]
for i = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[2], now, ARGV[i])
end
return #ARGV / 2
