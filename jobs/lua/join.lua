-- A process of a subscribing service becomes a consumer of its group, and takes over what dead ones have left.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps  6 subscriptions
-- ARGV  1 group  2 consumer  3 lease in microseconds  4 TTL of keys 2 to 5 in ms  5 name among the subscriptions
--       6 where a new group starts: '$' now, '0' at the oldest entry kept, or the id of the last entry not wanted
--       7 'again' to have a group that another consumer has made meanwhile go back to there, unless it is '$'; or ''
-- Returns 1 when the group is new, else 0.
local group, me, now, start = ARGV[1], ARGV[2], micros(), ARGV[6]
local found, from = group_of(KEYS[1], group), start == '0' and '0-0' or start
if not found then
  local stream, read = redis.pcall('XINFO', 'STREAM', KEYS[1]), nil
  stream = stream.err and {['entries-added'] = 0, length = 0, ['last-generated-id'] = '0-0'} or fields(stream)
  if string.find(start, '-') and precedes(stream['last-generated-id'], start) then start = '0' end  -- another stream
  if start == '$' then
    read = stream['entries-added']
  elseif start == '0' or stream.length == 0 then
    read = stream['entries-added'] - stream.length
  end
  redis.call('XGROUP', 'CREATE', KEYS[1], group, start, 'MKSTREAM', unpack(read and {'ENTRIESREAD', whole(read)} or {}))
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
elseif ARGV[7] ~= '' and string.find(from, '-', 1, true) and precedes(from, found['last-delivered-id']) then
  redis.call('XGROUP', 'SETID', KEYS[1], group, start)
end
redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], group, me)
redis.call('ZADD', KEYS[2], whole(now + ARGV[3]), me)
redis.call('HSET', KEYS[6], ARGV[5], whole(now))
take_over(group, me, now, true)
for i = 2, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
return found and 0 or 1
