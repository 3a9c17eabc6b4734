export * from '../../testing/plugin-suite.ts';
