import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { cleanup, cleanupOfFile } from './cleanup.ts';

const pictures = fileURLToPath(new URL('../../.tmp/screenshots/', import.meta.url));

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

let shared: Promise<Browser> | undefined;

/** What playwright-core switches off, and the people who visit a page have. */
const missing = ['--disable-back-forward-cache', '--disable-background-timer-throttling', '--disable-renderer-backgrounding'];

/** One browser for the tests of a file: starting it takes longer than most of them. */
function browserOfFile(executablePath: string): Promise<Browser> {
  shared ??= chromium.launch({ executablePath, args: flags, ignoreDefaultArgs: missing }).then((browser) => {
    cleanupOfFile(async () => {
      shared = undefined;
      await browser.close();
    });
    return browser;
  });
  return shared;
}

/**
 * A page in a real browser, and the errors and warnings of its console. It shares no cookies, storage or cache with
 * other pages. Closed when the test is over.
 */
export async function browse(
  executablePath: string, viewport: { width: number; height: number },
): Promise<{ page: Page; complaints: string[] }> {
  const browser = await browserOfFile(executablePath);
  const context = await browser.newContext({ viewport });
  cleanup(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.setDefaultTimeout(5_000);
  return { page, complaints };
}

/** Where a screenshot goes, for a reader who wants to look. */
export function picture(name: string): string {
  mkdirSync(pictures, { recursive: true });
  return join(pictures, `${name}.png`);
}

// As text: the types of a browser are not there (see dom.d.ts).
const LOW_CONTRAST = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const toColour = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => [0, 1, 2].map((i) => (top[i] * top[3] + below[i] * (255 - top[3])) / 255);
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (element, css) => {
    let behind = [255, 255, 255];
    const ancestors = [];
    for (let one = element; one; one = one.parentElement) ancestors.unshift(one);
    for (const one of ancestors) behind = over(toColour(getComputedStyle(one).backgroundColor), behind);
    const [dark, light] = [luminance(over(toColour(css), behind)), luminance(behind)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const textOf = (element) => [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data.trim()).join('');
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility() && !element.matches(':disabled'))
    .flatMap((element) => [
      { text: textOf(element), value: ratio(element, getComputedStyle(element).color) },
      { text: element.placeholder ?? '', value: ratio(element, getComputedStyle(element, '::placeholder').color) },
    ])
    .filter(({ text, value }) => text !== '' && value < 4.5)
    .map(({ text, value }) => text + ': ' + value.toFixed(2));
})()`;

/** The texts whose contrast is below 4.5:1 (WCAG 1.4.3) in the light or the dark scheme, but for disabled controls. */
export async function lowContrast(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const texts = await page.evaluate<string[]>(LOW_CONTRAST);
    found.push(...texts.map((text) => `${colorScheme}: ${text}`));
  }
  return found;
}
