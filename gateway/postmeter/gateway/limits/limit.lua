-- One request against a limit (GCRA). KEYS[1]: microseconds of this server's clock at which the whole limit is free
-- again. ARGV[1]: requests in ARGV[2] seconds, all of which may come at once.
-- Returns {let through, requests left, seconds until the whole limit is free, seconds until one request is}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit = tonumber(ARGV[1])
local interval = math.floor(tonumber(ARGV[2]) * 1000000 / limit)
local burst = interval * limit

-- Never further ahead than a full limit: a clock that was set back must not lock anybody out. What another clock has said
-- is noted anew, or everybody would be told the same again until this clock has come as far.
local free_at = tonumber(redis.call('GET', KEYS[1])) or 0
if free_at > now + burst then
    free_at = now + burst
    redis.call('SET', KEYS[1], free_at, 'PX', math.ceil(burst / 1000))
end
local after = math.max(free_at, now) + interval
local wait = after - burst - now
if wait > 0 then
    return {0, 0, math.ceil((free_at - now) / 1000000), math.ceil(wait / 1000000)}
end
redis.call('SET', KEYS[1], after, 'PX', math.ceil((after - now) / 1000))
return {1, math.floor((burst - (after - now)) / interval), math.ceil((after - now) / 1000000), 0}
