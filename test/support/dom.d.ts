// What the types of playwright name of a browser. Not the whole of the compiler's `dom` library: with that, a use of a browser's
// global in src/ would compile.
interface Node { readonly nodeType: number }
interface HTMLElement extends Node { readonly hidden: boolean }
interface SVGElement extends Node { readonly tabIndex: number }
interface HTMLElementTagNameMap { readonly div: HTMLElement }
