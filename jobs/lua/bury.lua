-- Move an entry to the dead letters of its group: later entries of its job go on.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps  6 dead letters
-- ARGV  1 group  2 consumer  3 id of the entry  4 its job  5 reason  6 attempts  7 text  8 note ('': the text is whole)
--       9 how many are kept, about
-- Returns 1; 0 when the consumer's lease was over and others have all it had.
local group, me, id = ARGV[1], ARGV[2], ARGV[3]
if not redis.call('ZSCORE', KEYS[2], me) then return 0 end
if redis.call('XACK', KEYS[1], group, id) == 1 then  -- else this was said before
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[9], '*', 'reason', ARGV[5], 'attempts', ARGV[6], 'entry', id,
    'event', ARGV[7], 'note', ARGV[8], 'at', rfc3339(micros()))
end
redis.call('HDEL', KEYS[4], id)
release(me, {ARGV[4], id}, 1, 1)
return 1
