-- See what needs a reconciler's hand. One worker leads; for the others there is nothing to do.
-- KEYS  1 lock  2 leases  3 scheduled  4 index of InProgress  5 fetched  6.. pairs: a queue, who waits in it
-- ARGV  1 token of the worker  2 how long it leads, in ms  3 most ids of each kind
--       4 lease in microseconds  5 how many messages at the head of a queue are looked at
--       6 'grace' from a worker that could not look for a while, leading or not: everybody gets one more lease, or ''
-- Returns {} to a worker that does not lead; else {ids with an expired lease, ids whose time has come,
-- {id, since, key that says so, id, since, key ...} of jobs whose message is gone}.
local token, most, lease, window = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lock, now = redis.call('GET', KEYS[1]), micros()
local leader, seen, resume = string.match(lock or '', '^(%S+) (%d+) (%d+)$')
local leads = not leader or leader == token or now - seen >= ARGV[2] * 1000
resume = ARGV[6] == 'grace' and now + lease or tonumber(resume or 0)
if leads then leader, seen = token, now end
redis.call('SET', KEYS[1], leader .. ' ' .. whole(seen) .. ' ' .. whole(resume))
if not leads then return {} end

local expired, gone = {}, {}
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', whole(now), 'LIMIT', 0, most)
if now < resume then return {expired, due, gone} end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(now), 'LIMIT', 0, most)) do
  if redis.call('ZSCORE', KEYS[4], id) then
    expired[#expired + 1] = id
  else
    redis.call('ZREM', KEYS[2], id)
  end
end

-- messages leave a queue in the order in which jobs began to wait: who waits for longer than the one at the head, and
-- is not said to be fetched for half a lease, has no message; a worker that has just taken it says so by then (and one
-- that is late may find that another has claimed the job)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', whole(now - 10 * lease))
local function id_of(message)
  local at = string.find(message, '"id": "', 1, true)  -- a pattern would be tried at each byte of a long body
  return at and string.match(message, '^"id": "([%x-]+)"', at)
end
for i = 6, #KEYS, 2 do
  local queue, waiting, before = KEYS[i], KEYS[i + 1], now - lease
  local head = redis.call('LINDEX', queue, -1)
  if head then
    local since = redis.call('ZSCORE', waiting, id_of(head) or '')
    before = since and math.min(before, since - 1) or before
  end
  local there
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', whole(before), 'LIMIT', 0, most)) do
    local fetched = redis.call('ZSCORE', KEYS[5], id)
    if not fetched then
      redis.call('ZADD', KEYS[5], whole(now + math.floor(lease / 2)), id)
    elseif tonumber(fetched) < now then
      if not there then
        there = {}
        for first = -window, -1, 10 do  -- a plain task's message may be long
          for _, message in ipairs(redis.call('LRANGE', queue, first, math.min(first + 9, -1))) do
            there[id_of(message) or ''] = true
          end
        end
      end
      if not there[id] then
        gone[#gone + 1] = id
        gone[#gone + 1] = redis.call('ZSCORE', waiting, id)
        gone[#gone + 1] = waiting
      end
    end
  end
end
return {expired, due, gone}
