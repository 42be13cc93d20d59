-- Keep how often an entry was, or is about to be, handed to the handler.
-- KEYS  1 stream  2 consumers  3 held jobs  4 attempts  5 gaps
-- ARGV  1 consumer  2 id of the entry  3 attempts
-- Returns 1; 0 when the consumer's lease was over and others have all it had.
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
return 1
