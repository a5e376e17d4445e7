"""The shared budget's scripts: each runs alone in Redis, by its clock, so that all workers stand in one line.

Kept per helpdesk: `pace`, when the last slot was due, until when everybody pauses, how many slots were ever given and
the last ticket; `line`, the waiters in order; `signs`, until when each waiter counts as alive; `slots`, when those of the
last minute were given; `heard`, what answers taught. `window` says the rule that `course` and `LEARN` follow.
All of it is lost with a flush: the next answers teach it anew, a pause that was asked for by being asked again.

Times are microseconds. After a clock was set back nothing kept may lie further ahead than it could have been set.
"""

from tokens.limiter import base, window


def _micro(seconds: float) -> str:
    return f"{seconds * 1_000_000:.0f}"


_CONSTANTS = f"""
local SHARE, LATE, LONGEST_PAUSE = {base.SHARE}, {_micro(base.LATE)}, {_micro(base.LONGEST_PAUSE)}
local WINDOW, OVER, NEXT = {_micro(window.WINDOW)}, {_micro(window.OVER)}, {_micro(window.NEXT)}
local LIMIT_KNOWN, SETTLED = {_micro(window.LIMIT_KNOWN)}, {_micro(window.SETTLED)}
local HUNDREDTH, TENTH = {window.HUNDREDTH}, {window.TENTH}
"""

_SHARED = """
local PACE, LINE, SIGNS, SLOTS, HEARD = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local configured = tonumber(ARGV[1])

local function text(number) return string.format('%.0f', number) end

local function numbers(key, ...)
    local found = redis.call('HMGET', key, ...)
    for i = 1, select('#', ...) do found[i] = tonumber(found[i] or 0) end
    return unpack(found, 1, select('#', ...))
end

-- The limit that holds, and the announced one (0 for none).
local function limits()
    local announced, known = numbers(HEARD, 'limit', 'limit_until')
    if now > known or known > now + LIMIT_KNOWN then announced = 0 end
    return announced > 0 and math.min(announced, configured) or configured, announced
end

local function plain(limit) return 60000000 / (limit * SHARE) end

-- The present window, or nil once it is over.
local function open_window()
    local asked, room, most, first, begun, ends =
        numbers(HEARD, 'asked', 'room', 'most', 'first', 'begun', 'ends')
    if now > ends + OVER or ends > now + WINDOW or asked > now then return nil end
    return {asked = asked, room = room, most = most, first = first, begun = begun, ends = ends}
end

-- What holds now: how far apart slots are, until when there is none (0 for now), what is left (-1 unknown).
local function course(limit)
    local window = open_window()
    if not window then return plain(limit), 0, -1 end
    local left, span = window.room - numbers(PACE, 'given'), window.ends - now
    local lost = window.first - window.most - math.max(2, HUNDREDTH * limit)
    local others = math.max(0, lost) / math.max(SETTLED, window.asked - window.begun)
    local reserve = others > 0 and math.max(1, HUNDREDTH * limit) or 0
    local ours = left - reserve - others * (now - window.asked)
    if ours < 1 then return plain(limit), window.ends + OVER, math.max(left, 0) end
    return math.max(plain(limit), span / math.max(ours - others * span, ours / 2)), 0, left
end

local function kept_pace()
    local last, paused = numbers(PACE, 'last', 'paused')
    if last > now then last = 0 end
    if paused > now + LONGEST_PAUSE then
        paused = now + LONGEST_PAUSE
        redis.call('HSET', PACE, 'paused', text(paused))
    end
    return last, paused
end
"""

_TAKE = """
local waiter, place, rank = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local limit = limits()
local interval, closed = course(limit)
local last, paused = kept_pace()

-- A slot a little late does not delay the next; an idle budget saves nothing up.
local function due_at(spacing)
    local planned = last + spacing
    if now - planned > math.max(spacing, LATE) then return now end
    return math.max(planned, now - LATE)
end
local due = due_at(interval)
local open = math.max(due, paused, closed)

if place == 0 then
    place = redis.call('HINCRBY', PACE, 'ticket', 1) + rank * 2 ^ 51
end
redis.call('ZADD', LINE, text(place), waiter)
redis.call('ZADD', SIGNS, text(now + 1500000), waiter)

local first = redis.call('ZRANGE', LINE, 0, 0)[1]
while first ~= waiter and tonumber(redis.call('ZSCORE', SIGNS, first) or 0) < now do
    redis.call('ZREM', LINE, first)
    redis.call('ZREM', SIGNS, first)
    first = redis.call('ZRANGE', LINE, 0, 0)[1]
end

local answer
if first == waiter and open <= now then
    redis.call('ZREM', LINE, waiter)
    redis.call('ZREM', SIGNS, waiter)
    redis.call('HSET', PACE, 'last', text(due))
    redis.call('ZADD', SLOTS, text(now), redis.call('HINCRBY', PACE, 'given', 1))
    redis.call('ZREMRANGEBYSCORE', SLOTS, '-inf', text(now - WINDOW))
    answer = {1, place, 0, 0}
else
    -- What cannot come sooner whatever an answer says yet, and what is likely.
    local certain = math.max(due_at(plain(limit)), paused) - now
    local likely = math.max(open - now, 0) + redis.call('ZRANK', LINE, waiter) * interval
    answer = {0, place, math.max(certain, 0), likely}
end
redis.call('PEXPIRE', PACE, 7200000)
for _, key in ipairs({LINE, SIGNS, SLOTS}) do redis.call('PEXPIRE', key, 60000) end
return answer
"""

_PAUSE = """
local last, paused = kept_pace()
redis.call('HSET', PACE, 'paused', text(math.max(paused, now + ARGV[2])))
redis.call('PEXPIRE', PACE, 7200000)
"""

_LEARN = """
local asked, said = now - ARGV[2], tonumber(ARGV[3])
local remaining, resets = tonumber(ARGV[4]), tonumber(ARGV[5])
local newest = numbers(HEARD, 'asked')
if asked < newest and newest <= now then return end
if said >= 1 then redis.call('HSET', HEARD, 'limit', said, 'limit_until', text(now + LIMIT_KNOWN)) end
redis.call('PEXPIRE', HEARD, 7200000)
if remaining < 0 then return end

local limit, given = limits(), numbers(PACE, 'given')
local since = redis.call('ZCOUNT', SLOTS, '(' .. text(asked), '+inf')
local room, most = given - since + remaining, given + remaining
local ends = resets >= 0 and resets <= WINDOW and now + resets or nil

local window = open_window()
local is_next = not window
if window and ends then is_next = ends > window.ends + NEXT end
if window and not ends then is_next = room > window.most + math.max(2, TENTH * limit) end
if is_next then
    redis.call('HSET', HEARD, 'first', text(room), 'begun', text(asked))
    window = {most = most, ends = ends or now + WINDOW}
end
redis.call('HSET', HEARD, 'asked', text(asked), 'room', text(room),
    'most', text(math.min(window.most, most)), 'ends', text(math.min(window.ends, ends or window.ends)))
"""

_STATE = """
local limit, announced = limits()
local interval, closed, left = course(limit)
local last, paused = kept_pace()
return {string.format('%.17g', interval), math.max(closed - now, 0), math.max(paused - now, 0), announced, left,
    redis.call('ZCOUNT', SIGNS, text(now), '+inf')}
"""

TAKE, PAUSE, LEARN, STATE = (_CONSTANTS + _SHARED + own for own in (_TAKE, _PAUSE, _LEARN, _STATE))
