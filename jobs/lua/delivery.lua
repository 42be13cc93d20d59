-- For the scripts that make deliveries: scripts.py puts it behind the prelude.
-- host_of(url)    the host of a URL, an IPv6 address with its brackets; the deliveries to each have a queue.
-- deliver(keys, now, delivery)  put a delivery into its host's queue. keys: {hosts, prefix of the deliveries to a host, prefix
--     of the deliveries}; delivery: {id, event_id, job_id, target, url, event}.
local function host_of(url)
  return string.lower(string.match(url, '^%w+://(%[[^%]]*%])') or string.match(url, '^%w+://([^/:?]*)'))
end

local function deliver(keys, now, delivery)
  local host = host_of(delivery.url)
  redis.call('HSET', keys[3] .. delivery.id, 'event_id', delivery.event_id, 'job_id', delivery.job_id, 'target',
    delivery.target, 'url', delivery.url, 'host', host, 'event', delivery.event, 'attempt', 0, 'created_at', whole(now))
  redis.call('ZADD', keys[2] .. host, whole(now), delivery.id)
  redis.call('ZADD', keys[1], 'LT', whole(now), host)
end
