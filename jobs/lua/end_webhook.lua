-- Let a standing webhook be told nothing more; what waits for it is dropped when it is due.
-- KEYS  1 webhook  2 webhooks  3.. for each event, the webhooks that want it
-- ARGV  1 id  2 the status in which it is kept ('': it is removed)
-- Returns 1; 0 when there is no such webhook.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 3, #KEYS do redis.call('SREM', KEYS[i], ARGV[1]) end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'status', ARGV[2])
else
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1
