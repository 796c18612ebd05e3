-- Everything up to ask.upto is safe with ask.device.
local at = redis.call('ZSCORE', acknowledged, ask.device)
if at then
  local upto = math.min(ask.upto, last)
  redis.call('ZADD', seen, text(ask.now), ask.device)
  if upto > tonumber(at) then
    redis.call('ZADD', acknowledged, text(upto), ask.device)
    redis.call('ZADD', sent, 'GT', text(upto), ask.device)
    trim()
  end
  write({})
end
return answer({})
