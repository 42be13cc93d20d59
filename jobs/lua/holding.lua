-- For the script that reads what is next; it stands behind subscription.lua.
-- described(entries)             each as {id, job, text, false}: its job is what the first "subject" of the text names, else
--     it is a job of its own. The text is '' without the field, and false when nothing is left of the entry.
-- check_for_gap(group, position) `position` is what group_of says: note what was trimmed before the group has read it.
-- hold(group, me, entries)       the reader holds the jobs of these entries, and gives away those of jobs that others hold.
--     Returns the reader's own.
local function described(entries)
  local found = {}
  for i, entry in ipairs(entries) do
    local text = entry[2] and (fields(entry[2]).event or '')
    found[i] = {entry[1], text and string.match(text, '"subject":"([^"]*)"') or entry[1], text, false}
  end
  return found
end

local function check_for_gap(group, position)
  local stream, last = fields(redis.call('XINFO', 'STREAM', KEYS[1])), position['last-delivered-id']
  local first, trimmed = stream['first-entry'], stream['entries-added'] - stream.length
  local read = position['entries-read']
  local skipped = first and not read and trimmed > 0 and precedes(last, first[1])  -- where nobody can count
  if skipped or (read and read < trimmed) then
    note_gap(last, first and first[1] or stream['last-generated-id'], read and whole(trimmed - read) or '?')
    redis.call('XGROUP', 'SETID', KEYS[1], group, last, 'ENTRIESREAD', whole(trimmed))
  end
end

local function holders_of(entries, me)  -- who holds the job of each, by job; the reader where nobody living does
  local names, holders, lives = {}, {}, {[me] = true}
  for _, entry in ipairs(entries) do
    if not holders[entry[2]] then names[#names + 1], holders[entry[2]] = entry[2], me end
  end
  for i, held in ipairs(redis.call('HMGET', KEYS[3], unpack(names))) do
    local holder = held and string.match(held, '^%S+') or me
    if lives[holder] == nil then lives[holder] = redis.call('ZSCORE', KEYS[2], holder) and true or false end
    if lives[holder] then holders[names[i]] = holder end
  end
  return holders
end

local function hold(group, me, entries)
  if #entries == 0 then return {} end
  local holders, mine, theirs, last = holders_of(entries, me), {}, {}, {}
  for _, entry in ipairs(entries) do
    local id, job = entry[1], entry[2]
    local holder = holders[job]
    if holder == me then
      mine[#mine + 1] = entry
    else
      theirs[holder] = theirs[holder] or {}
      table.insert(theirs[holder], id)
    end
    last[job] = holder .. ' ' .. id
  end
  local flat = {}
  for job, held in pairs(last) do flat[#flat + 1] = job; flat[#flat + 1] = held end
  redis.call('HSET', KEYS[3], unpack(flat))
  for holder, ids in pairs(theirs) do claim(group, holder, ids) end
  return mine
end

