import { ModuleError } from '../../src/index.ts';

const refusal = (code: string, text: (namespace: string) => string) => (namespace: string): ModuleError =>
  new ModuleError(code, { namespace }, { message: text(namespace) });

/** Why a message for a namespace does not reach it. */
export const refusals = Object.freeze({
  unknown: refusal('NAMESPACE_UNKNOWN', (namespace) => `there is no namespace "${namespace}"`),
  notJoined: refusal('NAMESPACE_NOT_JOINED', (namespace) => `the connection is not in "${namespace}"; it enters with a message of type "connect"`),
  alreadyJoined: refusal('NAMESPACE_ALREADY_JOINED', (namespace) => `the connection is in "${namespace}" already`),
  timeout: refusal('NAMESPACE_TIMEOUT', (namespace) => `entering "${namespace}" took too long`),
});
