/**
 * The history of one topic, as a Redis script in Lua. All keys begin with the declared key, `base`:
 *
 * - `meta`: the epoch, the top position, and what is known of the other keys. It is kept longer than they are.
 * - `entries`: a stream. The entry with the offset 5 has the id `5-0`, and the fields `id`, `ends` (when it expires)
 *   and `value`.
 * - `tombstones`: redacted entries by offset, because the entries of a stream cannot be changed
 * - `keys0`, `keys1`: idempotency keys. New keys are added to one of them. When it is full or old, the other one is
 *   emptied, and then gets the new keys.
 *
 * If its memory is full, Redis refuses a script at its first write, if that write may need memory. So the first write
 * of each function decides whether the function is done as a whole or not at all.
 */
export const LUA_JOURNAL = `
local base, name, fresh = KEYS[1], ARGV[1], ARGV[2]
local call = redis.call
local time = call('TIME')
-- Milliseconds since the epoch.
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local META, ENTRIES, TOMBSTONES, KEYS_OF = base .. 'meta', base .. 'entries', base .. 'tombstones', base .. 'keys'
-- Milliseconds for which keys stay longer than needed. Whether an entry has expired is in the entry itself.
local MARGIN, META_MARGIN = 60000, 86400000

local function text(number) return string.format('%.0f', number) end

local function stream_id(offset) return text(offset) .. '-0' end

-- Keeps a key for at least this time. Sets the time with a margin, so that it seldom writes: each write is replicated.
local function keep(key, milliseconds, margin)
  if call('PTTL', key) < milliseconds then call('PEXPIRE', key, text(milliseconds + margin)) end
end

local meta = call('HMGET', META, 'epoch', 'offset', 'id', 'first', 'ends', 'redacted', 'current', 'turned')
local is_known = meta[1] ~= false
local epoch, top, id = meta[1] or fresh, tonumber(meta[2] or 0), meta[3] or ''
-- The offset of the first entry, the time when the last one ends, and the highest offset of a tombstone.
local first, ends, redacted = tonumber(meta[4] or 1), tonumber(meta[5] or 0), tonumber(meta[6] or 0)
-- Which of keys0 and keys1 gets new keys, and since when.
local current, turned = meta[7] or '0', tonumber(meta[8] or 0)

local function save()
  call('HSET', META, 'epoch', epoch, 'offset', text(top), 'id', id, 'first', text(first), 'ends', text(ends),
    'redacted', text(redacted), 'current', current, 'turned', text(turned))
  is_known = true
end

-- Begins the history if there is none. Entries whose epoch is lost are removed, because their offsets are used again.
local function begin()
  if is_known then return end
  save()
  call('UNLINK', ENTRIES, TOMBSTONES, KEYS_OF .. '0', KEYS_OF .. '1')
end

local function entry_of(fields) return { id = fields[2], ends = tonumber(fields[4]), value = fields[6] } end

local function tombstone_at(offset)
  if offset > redacted then return nil end
  local packed = call('HGET', TOMBSTONES, text(offset))
  if not packed then return nil end
  local parts = cmsgpack.unpack(packed)
  return { id = parts[1], ends = parts[2], value = parts[3] }
end

local function entry_at(offset)
  if offset < first or offset > top then return nil end
  local found = call('XRANGE', ENTRIES, stream_id(offset), stream_id(offset))[1]
  return found and entry_of(found[2]) or tombstone_at(offset)
end

-- Deletes the tombstones before the first entry.
local function prune(from)
  if redacted < from then return end
  if redacted < first then
    redacted = 0
    call('UNLINK', TOMBSTONES)
  else
    for offset = from, first - 1 do call('HDEL', TOMBSTONES, text(offset)) end
  end
end

-- Redis deletes the stream after its last entry has expired, or evicts it earlier. Returns whether entries are lost.
local function notice_lost()
  if first > top or call('EXISTS', ENTRIES) == 1 then return false end
  first = top + 1
  return true
end

-- Removes expired entries at the beginning. Returns whether there were any.
local function expire()
  local from = first
  local was_lost = notice_lost()
  while first <= top do
    local entry = entry_at(first)
    if entry and entry.ends > now then break end
    first = first + 1
  end
  if first == from then return false end
  if not was_lost then call('XTRIM', ENTRIES, 'MINID', '=', stream_id(first)) end
  prune(from)
  return true
end

local function remove_ended()
  if not expire() then return end
  -- This write needs no memory. After it, Redis does not refuse later writes of the script, even if its memory is full.
  call('UNLINK', base .. 'spare')
  save()
end

-- Begins a new epoch if an entry that a node has seen is lost. Returns whether it has begun one.
local function compare(seen_epoch, seen_offset, seen_id)
  if seen_epoch ~= epoch or not is_known then return false end
  local offset = tonumber(seen_offset)
  local found
  if offset == top then
    found = id
  elseif offset < top then
    local entry = entry_at(offset)
    found = entry and entry.id or seen_id
  end
  if found == seen_id then return false end
  epoch = fresh
  return true
end

-- The offset and the id of an earlier entry with this idempotency key.
local function find(key)
  for _, number in ipairs({ '0', '1' }) do
    local found = call('HGET', KEYS_OF .. number, key)
    if found then
      local key_ends, offset, entry_id = string.match(found, '^(%d+) (%d+) (.*)$')
      if tonumber(key_ends) > now then return offset, entry_id end
    end
  end
end

local functions = {}

functions.append = function(
  publish, channel, entry_id, value, size, ttl, key, window, max_keys, seen_epoch, seen_offset, seen_id
)
  ttl, window = tonumber(ttl), tonumber(window)
  local is_renewed = compare(seen_epoch, seen_offset, seen_id)
  if key ~= '' then
    local offset, earlier = find(key)
    if offset and is_known then
      if is_renewed then save() end
      return { epoch, offset, earlier, 1 }
    end
  end
  local from = first
  if is_known then notice_lost() end
  local was_known = is_known
  top, id = top + 1, entry_id
  first = math.max(first, top - tonumber(size) + 1)
  ends = math.max(ends, now + ttl)
  local is_turning = key ~= ''
    and (now - turned >= window or call('HLEN', KEYS_OF .. current) >= tonumber(max_keys) / 2)
  if is_turning then current, turned = (current == '0' and '1' or '0'), now end
  save()
  if not was_known then call('UNLINK', ENTRIES, TOMBSTONES, KEYS_OF .. '0', KEYS_OF .. '1') end
  call('XADD', ENTRIES, 'MINID', '=', stream_id(first), stream_id(top),
    'id', id, 'ends', text(now + ttl), 'value', value)
  local had_tombstones = redacted > 0
  prune(from)
  -- At each 16th append, so that expired entries do not take memory for long.
  if (top % 16 == 0 and expire()) or (had_tombstones and redacted == 0) then save() end
  local left = ends - now
  keep(ENTRIES, left, MARGIN + math.floor(ttl / 10))
  if redacted > 0 then keep(TOMBSTONES, left, MARGIN + math.floor(ttl / 10)) end
  if key ~= '' then
    local keys = KEYS_OF .. current
    if is_turning then call('UNLINK', keys) end
    call('HSET', keys, key, text(now + window) .. ' ' .. text(top) .. ' ' .. id)
    keep(keys, window, MARGIN)
  end
  keep(META, math.max(left, window) + META_MARGIN / 2, META_MARGIN / 2)
  local position = epoch .. ' ' .. text(top) .. ' ' .. #id .. ' ' .. id
  call(publish, channel, '\\2' .. position .. value)
  return { epoch, text(top), id, 0 }
end

-- Maximum bytes of the values on a page. A larger value is on a page alone.
local MAX_BYTES = 1048576

functions.read = function(after, before, limit, is_reverse)
  begin()
  remove_ended()
  keep(META, META_MARGIN / 2, META_MARGIN / 2)
  local from = math.max(tonumber(after) + 1, first)
  local to = before == '' and top or math.min(tonumber(before) - 1, top)
  local page = { epoch, text(top), id, text(first) }
  local count, bytes, is_full = tonumber(limit), 0, false
  -- Reads a few entries at a time, because their sizes are not known in advance.
  local step = 8
  while from <= to and count > 0 and not is_full do
    local number = math.min(step, count, to - from + 1)
    local low = is_reverse == '1' and to - number + 1 or from
    local found = {}
    for _, entry in ipairs(call('XRANGE', ENTRIES, stream_id(low), stream_id(low + number - 1))) do
      found[tonumber(string.match(entry[1], '^%d+'))] = entry_of(entry[2])
    end
    for index = 0, number - 1 do
      local offset = is_reverse == '1' and to - index or from + index
      local entry = found[offset] or tombstone_at(offset)
      if entry then
        bytes = bytes + #entry.value
        is_full = bytes > MAX_BYTES and #page > 4
        if is_full then break end
        page[#page + 1], page[#page + 2], page[#page + 3] = text(offset), entry.id, entry.value
      end
    end
    if is_reverse == '1' then to = to - number else from = from + number end
    count = count - number
    local mean = bytes / math.max(1, (#page - 4) / 3)
    step = math.min(128, math.max(1, math.floor((MAX_BYTES - bytes) / (mean + 1))))
  end
  return page
end

functions.position = function(seen_epoch, seen_offset, seen_id)
  begin()
  if compare(seen_epoch, seen_offset, seen_id) then save() end
  keep(META, META_MARGIN / 2, META_MARGIN / 2)
  return { epoch, text(top), id }
end

functions.redact = function(given_epoch, given_offset, given_id, tombstone)
  if not is_known or given_epoch ~= epoch then return 0 end
  remove_ended()
  local offset = tonumber(given_offset)
  local entry = entry_at(offset)
  if not entry or entry.id ~= given_id then return 0 end
  call('HSET', TOMBSTONES, text(offset), cmsgpack.pack({ entry.id, entry.ends, tombstone }))
  call('XDEL', ENTRIES, stream_id(offset))
  redacted = math.max(redacted, offset)
  save()
  keep(TOMBSTONES, ends - now, MARGIN)
  return 1
end

functions.drop = function()
  call('UNLINK', META, ENTRIES, TOMBSTONES, KEYS_OF .. '0', KEYS_OF .. '1')
  return 1
end

return functions[name](unpack(ARGV, 3))
`;
