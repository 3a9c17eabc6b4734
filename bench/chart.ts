import { contenders } from './contenders.ts';
import type { Row } from './compare.ts';

const WIDTH = 860;
const LEFT = 340;
const RIGHT = 70;
const BAR = 11;
const GAP = 16;
const TOP = 70;
/** Longer bars end here, so that one does not make all others short. The number beside a bar is exact. */
const MAX_RATIO = 3.5;
// Visible on white and on black. The text follows the reader's color scheme.
const COLOURS = {
  'websocket-module': '#2f81f7', 'bare-kernel': '#79b8ff', 'ws': '#8b949e', 'socket-io': '#d9822b',
} as const;

/** Draws the ratios to `ws`: shorter bars are better. The SVG loads no other files. */
export function chart(rows: readonly Row[], caption: string): string {
  const groups = rows.map(({ title, better, ratios }) => ({
    title: better === 'higher' ? `${title} (inverse)` : title,
    bars: contenders.flatMap(({ name }) => {
      const ratio = ratios[name];
      return ratio === undefined ? [] : [{ name, value: better === 'higher' ? 1 / ratio : ratio }];
    }),
  }));
  const most = Math.min(MAX_RATIO, Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ value }) => value))));
  const scale = (value: number): number => Math.min(value, most) / most * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = TOP;
  for (const { title, bars } of groups) {
    parts.push(text(LEFT - 12, y + bars.length * BAR / 2 + 4, title, 'end'));
    for (const { name, value } of bars) {
      const length = Math.max(1, scale(value));
      const size = `width="${length.toFixed(1)}" height="${BAR - 2}"`;
      parts.push(`<rect x="${LEFT}" y="${y}" ${size} rx="1.5" fill="${COLOURS[name]}"/>`);
      const shown = value < 0.1 ? value.toFixed(3) : value.toFixed(2);
      parts.push(text(LEFT + length + 5, y + BAR - 3, shown, 'start', 'small'));
      y += BAR;
    }
    y += GAP;
  }
  const legend = contenders.map(({ name, title }, index) => {
    const x = LEFT + index * 122;
    const box = `<rect x="${x}" y="38" width="10" height="10" rx="1.5" fill="${COLOURS[name]}"/>`;
    return box + text(x + 15, 47, title, 'start');
  });
  const size = `viewBox="0 0 ${WIDTH} ${y + 20}" width="${WIDTH}" height="${y + 20}"`;
  const label = 'Cost on the server as a ratio to bare ws, shorter is better';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${label}">
<style>
  text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .title { font-size: 14px; font-weight: 600; }
  .small { font-size: 9.5px; }
  .faint { fill: #656d76; font-size: 10.5px; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .faint { fill: #8d96a0; } }
</style>
${text(LEFT, 20, 'Cost on the server as a ratio to bare ws: shorter is better', 'start', 'title')}
${legend.join('\n')}
${parts.join('\n')}
${text(WIDTH - 8, y + 10, caption, 'end', 'faint')}
</svg>
`;
}

function text(x: number, y: number, content: string, anchor: string, style?: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const styled = style === undefined ? '' : ` class="${style}"`;
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${styled}>${escaped}</text>`;
}
