-- End a delivery: it has arrived, or it is given up and set aside.
-- KEYS  1 delivery  2 deliveries to its host  3 deliveries set aside
-- ARGV  1 id  2 attempt that ends it ('': whichever)  3 ms for which the end is remembered
--       4 why it is given up ('': it has arrived)  5 how many are kept that were set aside, about
-- Returns 1; 0 when another attempt is under way, or it has ended.
local attempt, url, event = unpack(redis.call('HMGET', KEYS[1], 'attempt', 'url', 'event'))
if not event or (ARGV[2] ~= '' and ARGV[2] ~= attempt) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], 'event', 'url')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[4] ~= '' then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'reason', ARGV[4], 'delivery', ARGV[1], 'url', url,
    'event', event, 'attempts', attempt, 'at', rfc3339(micros()))
end
return 1
