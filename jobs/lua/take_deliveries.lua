-- Take deliveries that are due, under a lease: when it ends they are due again. Each host has its own queue, so that the
-- many that wait for one host stand in nobody's way.
-- KEYS  1 hosts, by when the next delivery of each is due, or earlier  2 prefix of the deliveries to a host  3 prefix of
--       the deliveries  4 prefix of the webhooks  5 prefix of the signs that a callback is gone
-- ARGV  1 lease in microseconds  2 most deliveries  3 most of one host at once  4 ms for which the end of a delivery is
--       remembered  5.. for each host that is busy: its name, how many of its deliveries are under way
-- Returns {how many nobody wanted any more, {{id, event id, job id, target, url, host, event, attempt}, ...}}.
local left, most, busy, dropped, taken = tonumber(ARGV[2]), tonumber(ARGV[3]), {}, 0, {}
for i = 5, #ARGV, 2 do busy[ARGV[i]] = tonumber(ARGV[i + 1]) end
local now = micros()
local expires = whole(now + ARGV[1])

local function is_wanted(target, job_id)
  if target == 'callback' then return redis.call('EXISTS', KEYS[5] .. job_id) == 0 end
  return redis.call('HGET', KEYS[4] .. target, 'status') == 'active'
end

for _, host in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', whole(now), 'LIMIT', 0, left + #ARGV)) do
  local waiting, room = KEYS[2] .. host, math.min(left, most - (busy[host] or 0))
  if room > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', whole(now), 'LIMIT', 0, room)) do
      local delivery = KEYS[3] .. id
      local event_id, job_id, target, url, event = unpack(redis.call('HMGET', delivery, 'event_id', 'job_id', 'target',
        'url', 'event'))
      if event and is_wanted(target, job_id) then
        local attempt = redis.call('HINCRBY', delivery, 'attempt', 1)
        redis.call('ZADD', waiting, expires, id)
        taken[#taken + 1], left = {id, event_id, job_id, target, url, host, event, attempt}, left - 1
      else
        redis.call('ZREM', waiting, id)
        redis.call('HDEL', delivery, 'event', 'url')
        redis.call('PEXPIRE', delivery, ARGV[4])
        dropped = dropped + 1
      end
    end
    local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
    if first[1] then redis.call('ZADD', KEYS[1], first[2], host) else redis.call('ZREM', KEYS[1], host) end
  end
end
return {dropped, taken}
