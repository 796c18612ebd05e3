local devices = {}
local times = redis.call('ZRANGE', seen, 0, -1, 'WITHSCORES')
for i = 1, #times, 2 do
  local at = redis.call('ZSCORE', acknowledged, times[i])
  if at then
    devices[#devices + 1] = {times[i], tonumber(at), tonumber(times[i + 1]), is_connected(times[i]), followed_by(times[i])}
  end
end
return answer({devices = devices})
