-- ask.device follows ask.filter from now on.
if not redis.call('ZSCORE', acknowledged, ask.device) then
  return answer({did = 'unknown'})
end
local member = ask.filter .. '\0' .. ask.device
if not redis.call('ZSCORE', topics, member) then
  if #followed_by(ask.device) >= ask.topics_limit then
    return answer({did = 'full'})
  end
  redis.call('ZADD', topics, 0, member)
  write({topics})
end
return answer({did = 'done'})
