import { createServer } from 'node:http';
import { expect } from 'chai';
import express from 'express';
import { WebSocketModule } from '../../../index.ts';

const complaint = (given: unknown): { readonly code: string; readonly message: string } => {
  try {
    WebSocketModule.create(given as never);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was accepted');
};

describe('the error for options of another package', () => {
  const app = express();
  const cases: readonly (readonly [what: string, given: unknown, code: string, remedy: string])[] = [
    ['a server in place of the options', createServer(), 'OPTION_INVALID', 'write create({ server })'],
    ['an Express application in place of the options', app, 'OPTION_INVALID', 'http.createServer(app)'],
    ['a port in place of the options', 3000, 'OPTION_INVALID', 'write create({ port: 3000 })'],
    ['an Express application as the server', { server: app }, 'OPTION_INVALID', 'http.createServer(app)'],
    ['an application that can listen as the server', { server: { listen: () => 1, on: () => 1, emit: () => 1 } }, 'OPTION_INVALID', 'http.createServer(app)'],
    ['cors', { port: 0, cors: { origin: '*' } }, 'OPTION_UNKNOWN', 'origins: [\'https:'],
    ['verifyClient', { port: 0, verifyClient: () => true }, 'OPTION_UNKNOWN', 'a layer of type "upgrade"'],
    ['perMessageDeflate', { port: 0, perMessageDeflate: true }, 'OPTION_UNKNOWN', 'use(\'compression\''],
    ['maxHttpBufferSize', { port: 0, maxHttpBufferSize: 5 }, 'OPTION_UNKNOWN', '"maxPayload"'],
    ['pingInterval', { port: 0, pingInterval: 5 }, 'OPTION_UNKNOWN', '"heartbeat.interval"'],
    ['an origin with a slash at its end', { port: 0, origins: ['https://app.example.com/'] }, 'OPTION_INVALID', 'write "https://app.example.com" instead of'],
    ['an origin with a path', { port: 0, origins: ['https://a.com', 'https://app.example.com/chat'] }, 'OPTION_INVALID', 'write "https://app.example.com" instead'],
    ['an origin with its default port', { port: 0, origins: ['https://app.example.com:443'] }, 'OPTION_INVALID', 'write "https://app.example.com" instead'],
    ['an origin without a scheme', { port: 0, origins: ['localhost:5173'] }, 'OPTION_INVALID', '"http://localhost:5173"'],
    ['an origin with a pattern', { port: 0, origins: ['https://*.example.com'] }, 'OPTION_INVALID', 'list each origin'],
    ['one origin without a list', { port: 0, origins: 'https://app.example.com' }, 'OPTION_INVALID', 'write origins: [\'https://app.example.com\']'],
  ];
  for (const [what, given, code, remedy] of cases) {
    it(`says the remedy: ${what}`, () => {
      const error = complaint(given);

      expect(error.code).to.equal(code);
      expect(error.message).to.include(remedy);
      expect(error.message).to.not.include('did you mean');
    });
  }

  it('gives no remedy when none is known', () => {
    for (const origins of [true, ['null'], ['://'], [5]]) expect(complaint({ port: 0, origins }).message).to.match(/, but is [^;]+$/);
    expect(complaint('3000').message).to.equal('option "options" must be an object, but is the string "3000"');
  });
});
