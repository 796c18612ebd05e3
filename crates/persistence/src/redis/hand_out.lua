-- Hands ask.entry out, if it is still due. Nobody else gets it before ask.again; if whoever has it dies, it is due
-- once more then.
local again = tonumber(redis.call('ZSCORE', releasing, ask.entry) or nil)
if redis.call('ZREM', schedule, ask.entry) == 0 and not (again and again <= ask.now) then
  return false
end
redis.call('ZADD', releasing, text(ask.again), ask.entry)
keep(releasing, ask.keep)
return redis.call('HGET', scheduled, ask.entry) or ''
