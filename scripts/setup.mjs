// Installs the programs that the tests use and npm cannot install. If all of them are installed, it does nothing.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The programs that the tests start, and the Debian package of each. */
const tools = {
  'promtool': 'prometheus',
  'chromium': 'chromium',
  'redis-server': 'redis-server',
};

// Debian runs this file before a package starts its daemon; exit code 101 forbids it. The tests start their own
// daemons, on their own ports.
const policy = '/usr/sbin/policy-rc.d';

const missing = Object.keys(tools).filter((tool) => !onPath(tool));
if (missing.length > 0) process.exitCode = obtain([...new Set(missing.map((tool) => tools[tool]))]);

function obtain(packages) {
  const command = `apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    console.error(`Not installed, but needed by tests: ${missing.join(', ')}.`);
    console.error(`On Debian or Ubuntu:  sudo ${command}`);
    console.error('On other systems, install them in any way, so that they are on the PATH.');
    console.error('Without them, `npm run test:only` runs the tests; those that need them fail.');
    return 1;
  }
  console.error(`Installing ${packages.join(', ')} for the tests; this happens once.`);
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    // Another process may hold the lock of apt: `update` and `install` wait for it.
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
