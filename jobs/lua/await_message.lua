-- Say that a New job waits in its queue from now on: if no message of it is there, whoever looks finds that.
-- KEYS  1 record  2 who waits in its queue
-- ARGV  1 id
if redis.call('HGET', KEYS[1], 'status') == 'New' then redis.call('ZADD', KEYS[2], whole(micros()), ARGV[1]) end
