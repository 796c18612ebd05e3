-- ask.device follows ask.filter no more. Whether no device of the user does.
if redis.call('ZREM', topics, ask.filter .. '\0' .. ask.device) == 1 then
  write({})
end
return answer({gone = not follows({ask.filter})})
