/**
 * Any events with any arguments, for when no map is given. A map is an interface of events by name, each with the
 * signature of its listeners. The last parameter may be the function that acknowledges:
 * `interface ClientToServer { 'chat message': (text: string, ack: (id: string) => void) => void }`.
 */
export type AnyEvents = Record<string, (...args: any[]) => any>;

export type EventName<Events> = keyof Events & string;
export type Arguments<Events, Name extends keyof Events> =
  Events[Name] extends (...args: infer Given) => unknown ? Given : never;

type Last<List extends readonly unknown[]> =
  List extends readonly [...unknown[], infer End] ? End : List[number];
type AllButLast<List extends readonly unknown[]> =
  List extends readonly [...infer Head, unknown] ? Head : List;
/** What goes with an event whose answer is awaited: everything but the acknowledgement. */
export type ArgumentsBeforeAck<Events, Name extends keyof Events> = AllButLast<Arguments<Events, Name>>;
type IsAny<Type> = 0 extends 1 & Type ? true : false;
type FirstArgument<Listener> =
  IsAny<Listener> extends true ? any : Listener extends (...args: infer Given) => unknown ? Given[0] : unknown;
/** What an event is acknowledged with. */
export type Answer<Events, Name extends keyof Events> = FirstArgument<Last<Arguments<Events, Name>>>;

type ErrorFirst<List extends readonly unknown[]> = {
  [Index in keyof List]: List[Index] extends (...args: infer Given) => infer Result
    ? (error: Error | null, ...args: Partial<Given>) => Result
    : List[Index];
};
type ErrorFirstOfMany<List extends readonly unknown[]> = {
  [Index in keyof List]: List[Index] extends (...args: infer Given) => infer Result
    ? (error: Error | null, answers: Given[0][]) => Result
    : List[Index];
};
/** The same events, whose acknowledgements get a failure first. */
export type WithErrors<Events> = { [Name in keyof Events]: (...args: ErrorFirst<Arguments<Events, Name>>) => unknown };
/** The same events, acknowledged by many sockets. */
export type WithManyAnswers<Events> = {
  [Name in keyof Events]: (...args: ErrorFirstOfMany<Arguments<Events, Name>>) => unknown;
};

/** Why a socket is no longer in its namespace. */
export type DisconnectReason =
  | 'client namespace disconnect' | 'server namespace disconnect' | 'transport close' | 'ping timeout'
  | 'server shutting down';

/** Events that a socket raises itself, beside those that its client sends. */
export interface SocketEvents {
  /** The socket leaves, and is still in its rooms. */
  disconnecting: (reason: DisconnectReason) => unknown;
  disconnect: (reason: DisconnectReason) => unknown;
  /** A listener or a layer of the socket failed, or a callback, or an acknowledgement whose callback takes no error. */
  error: (error: any) => unknown;
}

/** The listener of one of the client's events, or of one of the socket's own. */
export type ListenerOf<Events, Name> =
  Name extends keyof SocketEvents ? SocketEvents[Name] : Name extends keyof Events ? Events[Name] : never;
