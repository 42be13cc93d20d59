-- Make a delivery that was set aside anew, as if its event had just come, and forget that it was set aside.
-- KEYS  1 deliveries set aside  2 hosts  3 prefix of the deliveries to a host  4 prefix of the deliveries
-- ARGV  1 its entry
-- Returns 1; 0 when there is no such entry.
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local kept = fields(entry[2])
local event_id, target = string.match(kept.delivery, '^(.*) (%S+)$')
if redis.call('HEXISTS', KEYS[4] .. kept.delivery, 'event') == 0 then  -- else it is on its way again
  redis.call('PERSIST', KEYS[4] .. kept.delivery)
  deliver({KEYS[2], KEYS[3], KEYS[4]}, micros(), {id = kept.delivery, event_id = event_id,
    job_id = string.match(event_id, '^(.*):'), target = target, url = kept.url, event = kept.event})
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
