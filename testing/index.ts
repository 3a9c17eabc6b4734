import { adapterCases, adapterSuite } from './adapter-suite.ts';
import { stopAll } from './cleanup.ts';
import { Client, connect, UpgradeRefused } from './client.ts';
import { eventually } from './eventually.ts';
import { FaultyJournal } from './faulty-journal.ts';
import { crashEverywhere, FaultyStore } from './faulty-store.ts';
import { journalCases, journalSuite } from './journal-suite.ts';
import { pluginCases, pluginSuite } from './plugin-suite.ts';
import { RecoveringClient } from './recovering-client.ts';
import { start } from './start.ts';
import { storeCases, storeSuite } from './store-suite.ts';
import { transportCases, transportSuite } from './transport-suite.ts';

export type { MakeAdapter, MakeBus } from './adapter-bench.ts';
export type { Runner, SuiteOptions, TestCase } from './cases.ts';
export type { ConnectOptions, Received } from './client.ts';
export type { JournalBackend, MakeJournal } from './journal-bench.ts';
export type { JournalFaults } from './faulty-journal.ts';
export type { StoreFaults } from './faulty-store.ts';
export type { PluginCaseOptions, PluginSuiteOptions } from './plugin-suite.ts';
export type { MissedTopic } from './recovering-client.ts';
export type { Manager, Started, StartOptions } from './start.ts';
export type { MakeStore, StoreBackend } from './store-bench.ts';
export type { StoreSuiteOptions } from './store-suite.ts';
export type { TransportBackend, TransportClient } from './transport-cases.ts';
export {
  adapterCases, adapterSuite, Client, connect, crashEverywhere, eventually, FaultyJournal, FaultyStore, journalCases,
  journalSuite, pluginCases, pluginSuite, RecoveringClient, start, stopAll, storeCases, storeSuite,
  transportCases, transportSuite, UpgradeRefused,
};

/** All exports as one object, which `require('websocket-module/testing')` returns. */
const testing = {
  adapterCases, adapterSuite, Client, connect, crashEverywhere, eventually, FaultyJournal, FaultyStore, journalCases,
  journalSuite, pluginCases, pluginSuite, RecoveringClient, start, stopAll, storeCases, storeSuite,
  transportCases, transportSuite, UpgradeRefused,
};

export { testing as default, testing as 'module.exports' };
