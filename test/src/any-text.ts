import fc from 'fast-check';

const unit = fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff }));

/** Any text: control characters and halves of characters too. fast-check's own takes two seconds to be made. */
export function anyText(constraints: fc.ArrayConstraints = {}): fc.Arbitrary<string> {
  return fc.array(unit, constraints).map((codes) => String.fromCharCode(...codes));
}
