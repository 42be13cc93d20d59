-- Keep a message that no worker can run, and count it.
-- KEYS  1 dead letters  2 counts
-- ARGV  1 reason  2 queue  3 message  4 note ('': the message is whole)  5 how many are kept, about
-- Returns the id of the dead letter.
redis.pcall('HINCRBY', KEYS[2], 'dead_letters', 1)
local fields = {'reason', ARGV[1], 'queue', ARGV[2], 'message', ARGV[3], 'at', rfc3339(micros())}
if ARGV[4] ~= '' then fields[9], fields[10] = 'note', ARGV[4] end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', unpack(fields))
