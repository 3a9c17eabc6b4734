import { SPACE, type Letters } from './letters.ts';

/** An edge on both sides of a character, whatever its neighbours are. */
const LOOSE = 2;

/** A text in the form in which words are looked up, and the place of each unit in the text as it was written. */
export class Reading {
  /** Number of units. */
  length = 0;
  /** UTF-16 code units, with one space between words. */
  units: Uint16Array;
  /** Where the character of a unit begins and ends in the text. An invisible character belongs to the one before it. */
  starts: Uint32Array;
  ends: Uint32Array;
  /** Not 0: a word may begin or end before this unit. The last value is for the end of the text. */
  edges: Uint8Array;

  /** Takes linear time: each character is read once, and each unit twice. */
  constructor(text: string, letters: Letters) {
    const size = text.length + 1;
    this.units = new Uint16Array(size);
    this.starts = new Uint32Array(size);
    this.ends = new Uint32Array(size);
    this.edges = new Uint8Array(size);
    this.#read(text, letters);
    if (letters.joinsSingles) this.#joinSingles();
    this.edges[this.length] = 1;
  }

  #read(text: string, letters: Letters): void {
    let wasLoose = true;
    for (let at = 0, end: number; at < text.length; at = end) {
      const codePoint = text.codePointAt(at)!;
      const { units, isLoose, isMark } = letters.at(codePoint);
      end = at + (codePoint > 0xffff ? 2 : 1);
      const last = this.length - 1;
      const before = last < 0 ? 0 : this.units[last]!;
      const isRepeated = before === SPACE && units[0] === SPACE && units.length === 1;
      // Invisible, one more of several separators, or a mark of another script on a Latin letter.
      if (units.length === 0 || isRepeated || (isMark && before < 0x80)) {
        if (last >= 0) this.ends[last] = end;
        continue;
      }
      for (let index = 0; index < units.length; index++) {
        const isEdge = index === 0 ? wasLoose || isLoose : units[index] === SPACE || units[index - 1] === SPACE;
        this.#push(units[index]!, at, end, index === 0 && isLoose ? LOOSE : Number(isEdge));
      }
      wasLoose = isLoose;
    }
  }

  #push(unit: number, start: number, end: number, edge: number): void {
    const at = this.length++;
    // A few characters stand for several units, one of them for eighteen.
    if (this.length >= this.units.length) this.#grow();
    this.units[at] = unit;
    this.starts[at] = start;
    this.ends[at] = end;
    this.edges[at] = edge;
  }

  #grow(): void {
    const { units, starts, ends, edges } = this;
    const size = units.length * 2;
    (this.units = new Uint16Array(size)).set(units);
    (this.starts = new Uint32Array(size)).set(starts);
    (this.ends = new Uint32Array(size)).set(ends);
    (this.edges = new Uint8Array(size)).set(edges);
  }

  /**
   * Joins letters that stand alone: `s p a m` is one word. A word may begin and end at the ends of the row, one letter
   * further in, as after the article in `a s p a m`, and at a gap that is wider than one character. Elsewhere it may
   * not: `S c u n t h o r p e` is a town as well.
   */
  #joinSingles(): void {
    const { length } = this;
    this.length = 0;
    for (let index = 0; index < length;) {
      const end = this.#wordEnd(index, length);
      const next = this.#isSingle(index, end) ? this.#wordEnd(end + 1, length) : end;
      if (next > end + 1 && this.#isSingle(end + 1, next)) index = this.#joinRow(index, length);
      else for (const to = Math.max(end, index + 1); index < to; index++) this.#move(index);
    }
  }

  /** Moves the row of letters that begins at a unit, as one word. Returns where the row ends. */
  #joinRow(from: number, length: number): number {
    let joined = 0;
    let wasLoose = false;
    let last = this.length;
    let [start, end] = [from, this.#wordEnd(from, length)];
    let after = end;
    for (; this.#isSingle(start, end); [start, end] = [end + 1, this.#wordEnd(end + 1, length)]) {
      const isWide = start > from && this.ends[start - 1]! - this.starts[start - 1]! > 1;
      const isLoose = this.edges[start] === LOOSE;
      const isEdge = joined++ <= 1 || isWide || isLoose || wasLoose;
      last = this.length;
      this.#move(start, Number(isEdge));
      for (let index = start + 1; index < end; index++) this.#move(index);
      wasLoose = isLoose;
      after = end;
    }
    this.edges[last] = 1;
    return after;
  }

  #move(from: number, edge = this.edges[from]!): void {
    const to = this.length++;
    this.units[to] = this.units[from]!;
    this.starts[to] = this.starts[from]!;
    this.ends[to] = this.ends[from]!;
    this.edges[to] = edge;
  }

  /** Where the word that begins at a unit ends. If no word begins there, the unit itself. */
  #wordEnd(from: number, length: number): number {
    let index = from;
    while (index < length && this.units[index] !== SPACE) index++;
    return Math.min(index, length);
  }

  /** Whether a word is a single character. */
  #isSingle(from: number, to: number): boolean { return to > from && this.starts[from] === this.starts[to - 1]; }
}
