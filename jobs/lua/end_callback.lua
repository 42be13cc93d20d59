-- Remember that a job's callback is to be told nothing more.
-- KEYS  1 sign that it is gone
-- ARGV  1 ms for which that is remembered
redis.call('SET', KEYS[1], rfc3339(micros()), 'PX', ARGV[1])
return 1
