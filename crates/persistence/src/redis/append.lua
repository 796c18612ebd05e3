-- KEYS[4] the id, then log, last and devices of each user.
-- ARGV[1] fingerprint or nothing, ARGV[2] message, then the users.
if ARGV[1] ~= '' then
  local known = redis.call('GET', KEYS[4])
  if known then
    return {known == ARGV[1] and -1 or -2}
  end
  redis.call('SET', KEYS[4], ARGV[1], 'EX', 24 * 60 * 60)
end
local seqs = {}
for i = 3, #ARGV do
  local at = 5 + (i - 3) * 3
  seqs[i - 2] = add(KEYS[at], KEYS[at + 1], ARGV[2])
  settle(ARGV[i], KEYS[at], KEYS[at + 1], KEYS[at + 2])
end
return seqs
