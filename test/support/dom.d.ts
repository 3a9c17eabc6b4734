// What the types of playwright name of a browser. Not the whole of the compiler's `dom` library: with that, a use of a browser's
// global in src/ would compile.
interface Node { readonly nodeType: number }
interface HTMLElement extends Node { readonly hidden: boolean }
interface SVGElement extends Node { readonly tabIndex: number }
interface HTMLElementTagNameMap { readonly div: HTMLElement }
// What the types of fake-indexeddb name.
declare const indexedDB: unknown;
declare const IDBCursor: unknown;
declare const IDBCursorWithValue: unknown;
declare const IDBDatabase: unknown;
declare const IDBFactory: new () => object;
declare const IDBIndex: unknown;
declare const IDBKeyRange: unknown;
declare const IDBObjectStore: unknown;
declare const IDBOpenDBRequest: unknown;
declare const IDBRequest: unknown;
declare const IDBTransaction: unknown;
declare const IDBVersionChangeEvent: unknown;
