/**
 * The part of the store script for leases, in Lua. A *run* is one lease of a node: a node that restarts, or that has
 * lost its lease, begins a new run.
 *
 * - `runs`: a sorted set of the runs, with the time when the lease of each one ends
 * - `node-of`: the node of each run; `newest`: the newest run of each node
 * - `seats:<run>`: the seats that a run holds
 * - `handed:<run>`: the seats of dead runs that reap() returned to a run, and that it has not handled yet
 * - `call`: the last call of reap() of each run
 * - `marker`: a random text that is lost together with the data
 */
export const LUA_LEASES = `
local RUNS, NODE_OF, NEWEST, MARKER = base .. 'runs', base .. 'node-of', base .. 'newest', base .. 'marker'
local CALL = base .. 'call'

local function seats_of(owner) return base .. 'seats:' .. owner end

local function handed_to(owner) return base .. 'handed:' .. owner end

-- Empty if the user of Redis has no permission for INFO: the store works without it.
local function server_run()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end

local function generation()
  local marker = call('GET', MARKER)
  return marker and marker .. '.' .. server_run()
end

-- Whether data was lost since the node took or renewed its lease. Asks Redis for its run, so only newcomers call it.
local function has_lost() return generation() ~= known_generation end

local function register(name, ends)
  call('ZADD', RUNS, ends, name)
  call('HSET', NODE_OF, name, node)
  call('HSET', NEWEST, node, name)
  call('SET', MARKER, string.format('%s-%.0f', name, now * 1000), 'NX')
end

local function is_alive(name) return tonumber(call('ZSCORE', RUNS, name) or 0) > now end

-- If its memory is full, Redis refuses a script whose first write may need memory. This first write needs none, so the
-- script is not refused: nodes keep their leases.
local function allow_writes() call('DEL', base .. 'spare') end

-- Whether this run may use the store. If the data was lost while its lease was valid, the run still may, unless a newer
-- run of the node has begun. A write registers the run again, so that its new seats are released after a crash.
local function holds(writes)
  if is_alive(run) then return true end
  if ends <= now or generation() == known_generation then return false end
  local newest = call('HGET', NEWEST, node)
  if newest and newest ~= run then return false end
  if writes then register(run, ends) end
  return true
end

local function finish(name) call('ZADD', RUNS, 'XX', 0, name) end

-- Called with the number of the last call of reap() whose reply has arrived: the node has handled its seats.
local function confirm(received)
  if call('HGET', CALL, run) == received then call('DEL', handed_to(run)) end
end

-- Deletes a dead run that has no seats any more.
local function forget(name)
  local owner = call('HGET', NODE_OF, name)
  call('ZREM', RUNS, name)
  call('HDEL', NODE_OF, name)
  call('HDEL', CALL, name)
  if owner and call('HGET', NEWEST, owner) == name then call('HDEL', NEWEST, owner) end
end

-- Begins a run, unless another run of the node holds a lease.
free.lease = function(name, ttl)
  allow_writes()
  if run ~= '' then finish(run) end
  local other = call('HGET', NEWEST, node)
  -- The run is the newest one already if the reply to an earlier attempt was lost.
  if other and other ~= name then
    local taken = tonumber(call('ZSCORE', RUNS, other) or 0)
    if taken > now then return { 'taken', other, precise(taken), precise(now) } end
    finish(other)
  end
  register(name, now + tonumber(ttl))
  return { 'ok', precise(now), generation() }
end

free.release = function(received)
  if is_alive(run) then confirm(received) end
  finish(run)
  return { 'ok' }
end

writing.renew = function(ttl)
  allow_writes()
  register(run, now + tonumber(ttl))
  sweep(100)
  return { 'ok', precise(now), generation() }
end

-- A page of the seats that this run holds: the next cursor or '', and each seat with its set, member and holder.
reading.held = function(cursor, limit)
  local found = call('SSCAN', seats_of(run), cursor, 'COUNT', limit)
  local page = { 'ok', found[1] == '0' and '' or found[1] }
  for _, packed in ipairs(found[2]) do
    for _, part in ipairs(cmsgpack.unpack(packed)) do page[#page + 1] = part end
  end
  return page
end

-- Returns the seats of dead runs, up to a limit: those that a dead run had not handled, and those that it held. If the
-- reply to the call before was lost, returns the same seats again.
writing.reap = function(limit, number, received)
  allow_writes()
  confirm(received)
  call('HSET', CALL, run, number)
  limit = tonumber(limit)
  local reaped = { 'ok' }
  local function add(packed)
    for _, part in ipairs(cmsgpack.unpack(packed)) do reaped[#reaped + 1] = part end
  end
  local function take(packed)
    call('RPUSH', handed_to(run), packed)
    add(packed)
    limit = limit - 1
  end
  for _, packed in ipairs(call('LRANGE', handed_to(run), 0, -1)) do add(packed) end
  if #reaped > 1 then return reaped end
  for _, dead in ipairs(call('ZRANGEBYSCORE', RUNS, '-inf', now, 'LIMIT', 0, limit)) do
    for _, packed in ipairs(call('LPOP', handed_to(dead), limit) or {}) do take(packed) end
    while limit > 0 do
      local seats = call('SPOP', seats_of(dead), limit)
      if #seats == 0 then break end
      for _, packed in ipairs(seats) do
        local found = reap_seat(dead, packed)
        if found then take(found) end
      end
    end
    if limit == 0 then break end
    forget(dead)
  end
  return reaped
end
`;
