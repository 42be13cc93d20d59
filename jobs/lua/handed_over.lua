-- The message of a new job is with another broker: a reconciler need not hand it over. A job that has begun meanwhile may
-- be scheduled for its next attempt, and stays so.
-- KEYS  1 record  2 scheduled
-- ARGV  1 id
if redis.call('HGET', KEYS[1], 'attempt') == '0' then redis.call('ZREM', KEYS[2], ARGV[1]) end
