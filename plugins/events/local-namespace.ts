import type { EventNamespace, Socket } from './contracts.ts';
import { LocalEntrance } from './local-entrance.ts';
import type { Members } from './members.ts';
import type { Rooms } from './rooms.ts';

export class LocalNamespace extends LocalEntrance implements EventNamespace<any, any> {
  readonly name: string;
  readonly sockets: ReadonlyMap<string, Socket>;
  readonly adapter: Rooms;

  constructor(members: Members) {
    super(members);
    this.name = members.name;
    this.sockets = members.sockets;
    this.adapter = members.rooms;
    members.namespace = this;
  }
}
