/**
 * The default: any events with any arguments. A map of events is an interface: each event name has the signature of its
 * listeners. The last parameter may be the acknowledgement:
 * `interface ClientToServer { 'chat message': (text: string, ack: (id: string) => void) => void }`.
 */
export type AnyEvents = Record<string, (...args: any[]) => any>;

export type EventName<Events> = keyof Events & string;
/** An event between nodes. Sockets that enter raise the two others. */
export type NodeEventName<Name> = Name extends 'connection' | 'connect' ? never : Name;
export type Arguments<Events, Name extends keyof Events> =
  Events[Name] extends (...args: infer Given) => unknown ? Given : never;

type Last<List extends readonly unknown[]> =
  List extends readonly [...unknown[], infer End] ? End : List[number];
type AllButLast<List extends readonly unknown[]> =
  List extends readonly [...infer Head, unknown] ? Head : List;
/** The arguments of an event without the acknowledgement. */
export type ArgumentsBeforeAck<Events, Name extends keyof Events> = AllButLast<Arguments<Events, Name>>;
type IsAny<Type> = 0 extends 1 & Type ? true : false;
type FirstArgument<Listener> =
  IsAny<Listener> extends true ? any : Listener extends (...args: infer Given) => unknown ? Given[0] : unknown;
/** The first argument of an event's acknowledgement. */
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
/** The same events, but acknowledgements get an error first. */
export type WithErrors<Events> = { [Name in keyof Events]: (...args: ErrorFirst<Arguments<Events, Name>>) => unknown };
/** The same events, but acknowledgements get an error first and the answers of many sockets. */
export type WithManyAnswers<Events> = {
  [Name in keyof Events]: (...args: ErrorFirstOfMany<Arguments<Events, Name>>) => unknown;
};

/** Why a socket is no longer in its namespace. */
export type DisconnectReason =
  | 'client namespace disconnect' | 'server namespace disconnect' | 'transport close' | 'ping timeout'
  | 'server shutting down';

/** Events that a socket raises itself. */
export interface SocketEvents {
  /** The socket leaves, and is still in its rooms. */
  disconnecting: (reason: DisconnectReason) => unknown;
  disconnect: (reason: DisconnectReason) => unknown;
  /** A listener, a layer or a callback of the socket failed, or an acknowledgement whose callback takes no error. */
  error: (error: any) => unknown;
}

/** The listener of an event of the client, or of the socket's own events. */
export type ListenerOf<Events, Name> =
  Name extends keyof SocketEvents ? SocketEvents[Name] : Name extends keyof Events ? Events[Name] : never;
