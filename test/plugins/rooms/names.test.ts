import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ModuleError } from '../../../index.ts';
import { confusables } from '../../../plugins/rooms/confusables.ts';
import { checkName, nameKeys, skeleton } from '../../../plugins/rooms/room-names.ts';
import { root } from '../../support/sources.ts';
import { fastestInTurns, withinAllowance } from '../../support/timing.ts';
import { code, serve } from './serving.ts';

const FAMILY = '👨‍👩‍👧‍👦';
/** Why a name is refused, if it is. */
const refusal = (name: string): string | undefined => {
  try {
    checkName(name, 64);
    return undefined;
  } catch (error) {
    return (error as ModuleError).code;
  }
};
const isConfusable = (a: string, b: string): boolean => nameKeys(a).some((key, index) => key === nameKeys(b)[index]);

describe('a name that people use', () => {
  const ordinary = [
    'lobby', 'Room #1', 'C++ & C#', '24/7', 'a-b_c.d:e/f', 'l’été', '„Zitat“ (2024)', '¯\\_(ツ)_/¯', 'café', 'cafe\u0301', 'Tiếng Việt', 'Straße', 'İstanbul', 'ısı',
    'чай', 'React чат', 'русский/English', '3D-принтер', 'ελλάδα', 'שלום', 'עִבְרִית', 'مرحبا', 'می‌خواهم', 'اُردُو', 'हिन्दी', 'क्‍ष', 'தமிழ்', 'বাংলা', 'ශ්‍රී ලංකා', 'ಕನ್ನಡ',
    'น้ำ', 'ทำงาน', 'ห้องVIP', 'ນ້ຳ', 'ភាសាខ្មែរ', 'မြန်မာ', 'བོད', 'ქართული', 'հայերեն', 'አማርኛ', 'ᏣᎳᎩ', '聊天室（北京）', '茶室', 'お茶tea', '東京・大阪', '雑談　部屋', 'ﾁｬｯﾄ',
    '１階', '한국어', 'ㅋㅋ방', '차 tea', 'm²', '½ price', '1ª sala', '№5', '①', 'Ⅳ', 'tea 🍵', FAMILY, '❤️', '❤‍🔥', '1️⃣', '👍🏽', '🇫🇷🇩🇪', '🏴󠁧󠁢󠁥󠁮󠁧󠁿',
  ];

  for (const name of ordinary) it(`is taken: ${name}`, () => expect(refusal(name)).to.equal(undefined));
});

describe('a name with invisible characters', () => {
  it('is rejected, whatever character it is and at any position', () => {
    const invisible: number[] = [];
    for (let code = 0; code <= 0x10ffff; code++) {
      if (/[\p{C}\p{Default_Ignorable_Code_Point}]/u.test(String.fromCodePoint(code)) && !/\p{Cn}|\p{Co}/u.test(String.fromCodePoint(code))) invisible.push(code);
    }
    const taken = invisible.filter((code) => {
      const character = String.fromCodePoint(code);
      return [`lobby${character}`, `lob${character}by`, `${character}lobby`, character].some((name) => refusal(name) === undefined);
    });

    expect(invisible.length).to.be.above(400);
    expect(taken).to.deep.equal([]);
  });

  for (const [what, name] of [
    ['a braille blank', 'a\u2800b'], ['a Hangul filler', 'a\u3164b'], ['a joiner between Latin letters', 'a\u200db'], ['two joiners', 'می\u200c\u200cخواهم'],
    ['a variation selector on a letter', 'a\ufe0fb'], ['a tag', '🏴\u{e0061}\u{e007f}'], ['tags after a letter', 'a\u{e0061}'], ['an unassigned code point', 'a\u{50000}b'],
    ['a private one', 'a\ue000b'], ['a mark on nothing', '\u0301a'], ['a mark on a space', 'a \u0301b'], ['one mark twice', 'a\u0301\u0301'],
    ['five marks on a letter', 'a\u0301\u0302\u0303\u0304\u0305'], ['a wide space at its end', 'a\u3000'], ['two wide spaces', 'a\u3000\u3000b'],
  ] as const) {
    it(`is refused with ${what}`, () => expect(refusal(name)).to.equal('ROOM_NAME_INVALID'));
  }
});

describe('a word of several alphabets', () => {
  for (const name of ['l\u043ebby', 'l\u03bfbby', 'ЯндексGo', 'αβγabc', 'чαй', 'ᏣᎳᎩabc', 'hello pаypal']) {
    it(`is refused: ${name}`, () => expect(refusal(name)).to.equal('ROOM_NAME_INVALID'));
  }
});

describe('the keys of a name', () => {
  for (const [a, b] of [
    ['general', 'General'], ['INFO', 'info'], ['lobby', 'Iobby'], ['lobby', 'l0bby'], ['general', 'GeneraI'], ['Room 1', 'Room l'], ['Room 10', 'Room 1O'], ['coco', 'сосо'],
    ['modern', 'modem'], ['café', 'cafe\u0301'], ['straße', 'STRASSE'], ['istanbul', 'İstanbul'], ['lobby', 'ｌｏｂｂｙ'], ['聊天室（北京）', '聊天室(北京)'], ['lobby', 'lob\u200bby'],
    ['a-b', 'a‐b'], ['❤', '❤️'], ['m²', 'm2'], ['fi\u0307sh', 'fish'],
  ] as const) {
    it(`are shared by ${a} and ${b}`, () => expect(isConfusable(a, b)).to.be.true);
  }

  for (const [a, b] of [['mail', 'mall'], ['cafe', 'café'], ['room 1', 'room 2'], ['чай', 'чад'], ['a', 'b'], ['東京', '京都'], ['😀', '😃']] as const) {
    it(`are not shared by ${a} and ${b}`, () => expect(isConfusable(a, b)).to.be.false);
  }

  it('are shared by a name and its variants in case, normal form and ignorable characters', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (name) => {
      for (const other of [name.toUpperCase(), name.normalize('NFD'), name.normalize('NFKC'), `\u200b${name}\ufe0f`]) expect(isConfusable(name, other), other).to.be.true;
    }));
  });

  it('are those of the name\'s own skeleton', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (name) => {
      expect(skeleton(skeleton(name))).to.equal(skeleton(name));
    }));
  });

  it('are computed in linear time', async () => {
    const keysOf = (size: number) => () => nameKeys('m\u0301ﷺ'.repeat(size / 4));

    await withinAllowance(6, async () => {
      const { half, whole } = await fastestInTurns(5, { half: keysOf(4_096), whole: keysOf(8_192) });
      return { 'ms for twice the length': { value: whole, allowed: Math.max(20, 4 * half) } };
    });
  });
});

describe('the table of confusables', () => {
  it('is what its generator makes of the data', () => {
    const { status } = spawnSync(process.execPath, [join(root, 'scripts/generate-confusables.mjs'), '--check']);

    expect(status).to.equal(0);
  });

  it('has the prototypes of UTS 39', () => {
    expect(['0', '1', 'I', 'm', 'а', 'ο', 'օ'].map((character) => confusables().get(character))).to.deep.equal(['O', 'l', 'l', 'rn', 'a', 'o', 'o']);
  });
});

describe('creating a room whose name looks like the name of another', () => {
  it('is refused, whatever its id', async () => {
    const { api, guest } = await serve();
    const alice = await guest('alice');
    await alice.ask('create-room', { name: 'general' });

    expect(await alice.refused('create-room', { name: 'General' })).to.equal('ROOM_NAME_TAKEN');
    expect(await alice.refused('create-room', { name: 'generaI', roomId: 'other' })).to.equal('ROOM_NAME_TAKEN');
    expect(await code(api.create('gеnеrаl', { id: 'third' }))).to.equal('ROOM_NAME_INVALID');
    expect([...api.manager.rooms.keys()]).to.deep.equal(['general']);
  });

  it('is refused for one of two that are created at the same time', async () => {
    const { api } = await serve();

    const outcomes = await Promise.all([code(api.create('tea', { password: 'x' })), code(api.create('Tea', { password: 'x' }))]);

    expect(outcomes.filter((outcome) => outcome === 'ROOM_NAME_TAKEN')).to.have.length(1);
  });

  it('is possible again when that one is deleted', async () => {
    const { api } = await serve();
    await api.create('general');

    await api.delete('general');

    expect((await api.create('General')).name).to.equal('General');
  });

  it('is refused by names, and not by ids', async () => {
    const { api } = await serve();

    await api.create('Tea', { id: 'room-a' });
    await api.create('Coffee', { id: 'Room-A' });

    expect(api.get('room-a')!.name).to.equal('Tea');
    expect(api.get('Room-A')!.name).to.equal('Coffee');
  });

  it('counts the characters of a name as people do', async () => {
    const { api } = await serve({ maxNameLength: 2 });

    await api.create(FAMILY.repeat(2), { id: 'ab' });

    expect(await code(api.create('abc', { id: 'cd' }))).to.equal('ROOM_NAME_INVALID');
  });
});
