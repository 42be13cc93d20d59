-- Count entries of a stream without sending them, a piece at a time.
-- KEYS  1 stream
-- ARGV  1 id after which  2 id up to which  3 most entries that are looked at
-- Returns {number, id of the last one, '' when there was none}.
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], ARGV[2], 'COUNT', ARGV[3])
return {#entries, #entries > 0 and entries[#entries][1] or ''}
