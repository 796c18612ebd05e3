-- KEYS[4] log, KEYS[5] last, KEYS[6] devices, KEYS[7] the old set, then the old key of each message.
-- ARGV[1] user, then for each message: its old id, the message, whether the old key can go.
local taken = 0
for i = 2, #ARGV, 3 do
  -- Whoever else takes over at the same time must not find it again.
  if redis.call('SREM', KEYS[7], ARGV[i]) == 1 then
    add(KEYS[4], KEYS[5], ARGV[i + 1])
    if ARGV[i + 2] == '1' then
      redis.call('DEL', KEYS[8 + (i - 2) / 3])
    end
    taken = taken + 1
  end
end
settle(ARGV[1], KEYS[4], KEYS[5], KEYS[6])
return taken
