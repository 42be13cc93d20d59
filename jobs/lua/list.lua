-- One page of ids, newest first; the work is bounded whatever is stored.
-- KEYS  1.. the indexes
-- ARGV  1 lowest score  2 highest score  3 score of the cursor  4 id of the cursor ('': from the start)
--       5 most ids to return  6 most entries to look at  7 'every': ids that stand in every index; 'any': in any of them,
--       and no id stands in two
-- Returns {stopped early (1 or 0), score and id of the last entry looked at, id, score, id, score …}.
local low, high, after_score, after_id = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, bound = tonumber(ARGV[5]), tonumber(ARGV[6])

local function walk(key, step, visit)  -- from the cursor on, until `visit` says that it is enough
  local offset, entries = 0
  repeat
    entries = redis.call('ZREVRANGEBYSCORE', key, high, low, 'WITHSCORES', 'LIMIT', offset, step)
    for i = 1, #entries, 2 do
      local id, score = entries[i], tonumber(entries[i + 1])
      if after_id == '' or score < after_score or (score == after_score and id < after_id) then
        if visit(id, entries[i + 1], score) then return end
      end
    end
    offset = offset + step
  until #entries < 2 * step
end

if ARGV[7] == 'any' then
  local newest, page = {}, {}
  for _, key in ipairs(KEYS) do
    local count = 0
    walk(key, most, function(id, text, score)
      count = count + 1
      newest[#newest + 1] = {id, text, score}
      return count == most
    end)
  end
  table.sort(newest, function(a, b) return a[3] > b[3] or (a[3] == b[3] and a[1] > b[1]) end)
  for i = 1, math.min(most, #newest) do page[2 * i - 1], page[2 * i] = newest[i][1], newest[i][2] end
  return {0, '', '', unpack(page)}
end

local smallest, size = KEYS[1], math.huge
for _, key in ipairs(KEYS) do
  local count = redis.call('ZCOUNT', key, low, high)
  if count < size then smallest, size = key, count end
end
local function everywhere(id)
  for _, key in ipairs(KEYS) do
    if key ~= smallest and not redis.call('ZSCORE', key, id) then return false end
  end
  return true
end

local page, seen, stopped, last_score, last_id = {}, 0, 0, '', ''
walk(smallest, 200, function(id, score)
  seen, last_score, last_id = seen + 1, score, id
  if everywhere(id) then page[#page + 1] = id; page[#page + 1] = score end
  if #page == 2 * most then return true end
  if seen == bound then stopped = 1 end
  return stopped == 1
end)
return {stopped, last_score, last_id, unpack(page)}
