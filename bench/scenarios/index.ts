import { acknowledgement } from './acknowledgement.ts';
import { broadcasts } from './broadcast.ts';
import { connecting } from './connecting.ts';
import { echoes } from './echo.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { rooms } from './rooms.ts';
import type { Scenario } from './scenario.ts';

/** All of them, in the order of the table. */
export const scenarios: readonly Scenario[] = [
  ...echoes, acknowledgement, ...broadcasts, rooms, idle, connecting, latency,
];

export function scenarioOf(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  const names = scenarios.map((scenario) => scenario.name).join(', ');
  if (!found) throw new Error(`no scenario "${name}"; there are ${names}`);
  return found;
}
