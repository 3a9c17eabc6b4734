// Brings the programs that the tests talk to and npm cannot bring. Instant when all of them are there.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Each program the tests start, and the Debian package that has it. */
const tools = {
  'promtool': 'prometheus',
  'chromium': 'chromium',
  'redis-server': 'redis-server',
};

// Asked by Debian before a package starts its daemon: 101 forbids it. The tests start what they need, on ports of their own.
const policy = '/usr/sbin/policy-rc.d';

const missing = Object.keys(tools).filter((tool) => !onPath(tool));
if (missing.length > 0) process.exitCode = obtain([...new Set(missing.map((tool) => tools[tool]))]);

function obtain(packages) {
  const command = `apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    console.error(`The tests need ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not on this machine.`);
    console.error(`On Debian or Ubuntu:  sudo ${command}`);
    console.error('Elsewhere, install them any way you like, as long as they are on the PATH.');
    console.error('The tests that need them are skipped.');
    // CI promises to have run everything.
    return process.env.CI ? 1 : 0;
  }
  console.error(`Installing ${packages.join(', ')} for the tests; this happens once.`);
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    // Another run may hold the lock of apt: both `update` and `install` wait for it.
    const wait = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', '-qq'];
    apt([...wait, 'update']);
    return apt([...wait, 'install', '--yes', '--no-install-recommends', ...packages]);
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
}

function apt(parameters) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', parameters, { env, stdio: ['ignore', 'ignore', 'inherit'] }).status ?? 1;
}

function onPath(program) {
  return (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
