-- One page of ids, newest first, that stand in every index given; the work is bounded whatever is stored.
-- KEYS  1.. the indexes
-- ARGV  1 lowest score  2 highest score  3 score of the cursor  4 id of the cursor ('': from the start)
--       5 most ids to return  6 most entries to look at
-- Returns {stopped early (1 or 0), score and id of the last entry looked at, id, score, id, score …}.
local low, high, after_score, after_id = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local most, bound, step = tonumber(ARGV[5]), tonumber(ARGV[6]), 200
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

local page, seen, offset, last_score, last_id = {}, 0, 0, '', ''
while true do
  local entries = redis.call('ZREVRANGEBYSCORE', smallest, high, low, 'WITHSCORES', 'LIMIT', offset, step)
  for i = 1, #entries, 2 do
    local id, score = entries[i], tonumber(entries[i + 1])
    if after_id == '' or score < after_score or (score == after_score and id < after_id) then
      seen, last_score, last_id = seen + 1, entries[i + 1], id
      if everywhere(id) then page[#page + 1] = id; page[#page + 1] = entries[i + 1] end
      if #page == 2 * most then return {0, last_score, last_id, unpack(page)} end
      if seen == bound then return {1, last_score, last_id, unpack(page)} end
    end
  end
  if #entries < 2 * step then return {0, last_score, last_id, unpack(page)} end
  offset = offset + step
end
