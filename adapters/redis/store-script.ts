import { LUA_DOCUMENTS } from './lua-documents.ts';
import { LUA_LEASES } from './lua-leases.ts';
import { LUA_RATES } from './lua-rates.ts';
import { LUA_SETS } from './lua-sets.ts';
import { RedisScript } from './redis-script.ts';

// One script has all functions of the store, so that each call is one atomic step. All keys begin with the one declared
// key, whose hash tag keeps them in one slot of a cluster. An argument that is not given is ''.
const LUA = `
local base, name = KEYS[1], ARGV[1]
local node, run, known_generation, ends = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local call = redis.call
local time = call('TIME')
-- Milliseconds since the epoch, with microseconds as a fraction.
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000

local function precise(number) return string.format('%.3f', number) end

-- The functions that need no lease, that need one to read, and that need one to write.
local free, reading, writing = {}, {}, {}
-- Functions of sets that the functions of leases call.
local sweep, reap_seat
${LUA_LEASES}${LUA_DOCUMENTS}${LUA_SETS}${LUA_RATES}
if not free[name] and not holds(writing[name] ~= nil) then return { 'lost' } end
return (free[name] or reading[name] or writing[name])(unpack(ARGV, 6))
`;

/** The script of the store. Its replies are a {@link ScriptReply}. */
export const storeScript = new RedisScript(LUA);

/** The reply: a status, and more. A call without success has the status `lost`, `forgotten`, `taken`, `conflict` or
 * `full`. */
export type ScriptReply = readonly [status: string, ...rest: (string | number)[]];
