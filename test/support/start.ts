export * from '../../testing/start.ts';
