-- A consumer of a durable subscriber says what it has handled, and takes what is next. A job of which it has an entry
-- in hand is held by it: later entries of that job go to the same consumer, whoever reads them.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps
-- ARGV  1 group  2 consumer  3 most entries to read (0: none)  4 number of entries it has in hand, those handled left out
--       5 number of handled entries  6 number of jobs among them
--       7.. the ids of those entries; then for each job its name and the last of its entries; then the gaps it was told
-- Returns {'removed'} its lease was over and others have all it had; {'no group'};
-- {'ok', number of entries read, last id that the group has read, entries, whole, gaps}: the entries as
-- {id, job, text, attempts}, text false when there is none, attempts false when nothing is known against the entry. With
-- `whole` 1 they are all that it has in hand, those it knows too, else new ones only. A gap is 'after before number', the
-- number '?' where nobody can count.
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


local last = position['last-delivered-id']
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or precedes(last, first[1]) then check_for_gap(group, position) end

local fresh, mine = {}, {}
if most > 0 then
  local reply = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', most, 'STREAMS', KEYS[1], '>')
  fresh = reply and reply[1][2] or {}
  mine = hold(group, me, described(fresh))
end
local whole_hand = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group)) do
  consumer = fields(consumer)
  if consumer.name == me and consumer.pending ~= have + #mine then  -- others gave it something, or took it away
    whole_hand = 1
    mine = described(redis.call('XREADGROUP', 'GROUP', group, me, 'STREAMS', KEYS[1], '0')[1][2])
    for _, entry in ipairs(mine) do entry[4] = redis.call('HGET', KEYS[4], entry[1]) end
  end
end
return {'ok', #fresh, #fresh > 0 and fresh[#fresh][1] or last, mine, whole_hand, redis.call('LRANGE', KEYS[5], 0, -1)}
