-- A consumer of a durable subscriber says what it has handled, and takes what is next. A job of which it has an entry
-- in hand is held by it: later entries of that job go to the same consumer, whoever reads them.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps
-- ARGV  1 group  2 consumer  3 most entries to read (0: none)  4 number of entries it has in hand, those handled left out
--       5 number of handled entries  6 number of jobs among them
--       7.. the ids of those entries; then for each job its name and the last of its entries; then the gaps it was told
-- Returns {'removed'} its lease was over and others have all it had; {'no group'};
-- {'ok', number of entries read, last id that the group has read, last id of the stream, entries, whole, gaps}: the entries
-- as {id, job, text, attempts}, text false when there is none, attempts false when nothing is known against the entry.
-- With `whole` 1 they are all that it has in hand, those it knows too, else new ones only. A gap is 'after before number', or '?' for it.
local group, me, most, have = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local handled, jobs = tonumber(ARGV[5]), tonumber(ARGV[6])
if not redis.call('ZSCORE', KEYS[2], me) then return {'removed'} end
local position = group_of(KEYS[1], group)
if not position then return {'no group'} end

if handled > 0 then
  redis.call('XACK', KEYS[1], group, unpack(ARGV, 7, 6 + handled))
  redis.call('HDEL', KEYS[4], unpack(ARGV, 7, 6 + handled))
  release(me, ARGV, 7 + handled, jobs)
end
for i = 7 + handled + 2 * jobs, #ARGV do redis.call('LREM', KEYS[5], 1, ARGV[i]) end

local function texts(entries)  -- {id, job, text, false} of each: a job is what its first "subject" names
  local found = {}
  for i, entry in ipairs(entries) do
    local text = entry[2] and (fields(entry[2]).event or '')
    found[i] = {entry[1], text and string.match(text, '"subject":"([^"]*)"') or entry[1], text, false}
  end
  return found
end

local stream = fields(redis.call('XINFO', 'STREAM', KEYS[1]))
local first, trimmed = stream['first-entry'], stream['entries-added'] - stream.length
local last, read = position['last-delivered-id'], position['entries-read']
local skipped = first and not read and trimmed > 0 and precedes(last, first[1])  -- where nobody can count
if skipped or (read and read < trimmed) then  -- what the group has not read begins before the stream does
  note_gap(last, first and first[1] or stream['last-generated-id'], read and whole(trimmed - read) or '?')
  redis.call('XGROUP', 'SETID', KEYS[1], group, last, 'ENTRIESREAD', whole(trimmed))
end

local fresh = {}
if most > 0 and last ~= stream['last-generated-id'] then
  local reply = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', most, 'STREAMS', KEYS[1], '>')
  fresh = reply and texts(reply[1][2]) or {}
end
local mine, theirs, names, holds = {}, {}, {}, {}
for _, entry in ipairs(fresh) do
  if not holds[entry[2]] then names[#names + 1], holds[entry[2]] = entry[2], '' end
end
if #names > 0 then
  local lives, set = {[me] = true}, {}
  for i, hold in ipairs(redis.call('HMGET', KEYS[3], unpack(names))) do
    local holder = hold and string.match(hold, '^%S+') or me
    if lives[holder] == nil then lives[holder] = redis.call('ZSCORE', KEYS[2], holder) and true or false end
    holds[names[i]] = lives[holder] and holder or me
  end
  for _, entry in ipairs(fresh) do
    local holder = holds[entry[2]]
    local list = holder == me and mine or theirs[holder] or {}
    if holder ~= me then theirs[holder] = list end
    list[#list + 1] = holder == me and entry or entry[1]
    set[entry[2]] = holder .. ' ' .. entry[1]
  end
  local flat = {}
  for job, hold in pairs(set) do flat[#flat + 1] = job; flat[#flat + 1] = hold end
  redis.call('HSET', KEYS[3], unpack(flat))
  for holder, ids in pairs(theirs) do
    claim(group, holder, ids)
  end
end

local whole_hand = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group)) do
  consumer = fields(consumer)
  if consumer.name == me and consumer.pending ~= have + #mine then  -- others gave it something, or took it away
    whole_hand = 1
    mine = texts(redis.call('XREADGROUP', 'GROUP', group, me, 'STREAMS', KEYS[1], '0')[1][2])
    for _, entry in ipairs(mine) do entry[4] = redis.call('HGET', KEYS[4], entry[1]) end
  end
end
return {'ok', #fresh, #fresh > 0 and fresh[#fresh][1] or last, stream['last-generated-id'], mine,
  whole_hand, redis.call('LRANGE', KEYS[5], 0, -1)}
