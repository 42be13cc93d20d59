-- Look at a job later that could not be enqueued now, after those that can be; never earlier than it is due.
-- KEYS  1 scheduled, or who waits in its queue
-- ARGV  1 id  2 microseconds
redis.call('ZADD', KEYS[1], 'XX', 'GT', whole(micros() + ARGV[2]), ARGV[1])
