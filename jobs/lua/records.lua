-- Read records, as many as fit into an answer of bounded length, and one at least.
-- KEYS  the records, in their order
-- ARGV  1 most bytes of the answer; the first record may be longer  2.. the names of a record's fields
-- Returns for each of the first records the values of these fields, false where there is none; an error in place of what
-- is no record.
local most, bytes, found = tonumber(ARGV[1]), 0, {}
for i, key in ipairs(KEYS) do
  local values = redis.pcall('HMGET', key, unpack(ARGV, 2))
  for j = 1, #ARGV - 1 do bytes = bytes + #(values[j] or '') end
  if bytes > most and i > 1 then break end
  found[i] = values
end
return found
