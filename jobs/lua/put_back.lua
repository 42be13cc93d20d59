-- Put the message of a dead letter at the end of its queue, and forget the dead letter.
-- KEYS  1 dead letters  2 queue
-- ARGV  1 id
-- Returns 1; 0 when there is no such dead letter.
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
for i = 1, #entry[2], 2 do
  if entry[2][i] == 'message' then redis.call('LPUSH', KEYS[2], entry[2][i + 1]) end
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
