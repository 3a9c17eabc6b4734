import type { Locator, Page } from 'playwright-core';

export const wide = { width: 1_280, height: 800 };
export const narrow = { width: 360, height: 720 };

/** Signs in on the page of the example chat-server. */
export async function signIn(page: Page, http: string, username: string): Promise<void> {
  await page.goto(http);
  await page.getByLabel('Name', { exact: true }).fill(username);
  await page.getByLabel('Password').fill(`the password of ${username}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Online', { exact: true }).waitFor();
}

export const field = (page: Page): Locator => page.getByLabel('Message', { exact: true });

export async function say(page: Page, text: string): Promise<void> {
  await field(page).fill(text);
  await field(page).press('Enter');
}

/** Enters a room by the list, or by its name. On a narrow page the list is behind the menu. */
export async function enter(page: Page, name: string): Promise<void> {
  const menu = page.getByRole('button', { name: 'Rooms and people' });
  if (await menu.isVisible()) await menu.click();
  await page.getByLabel('Name of a room').fill(name);
  await page.getByRole('button', { name: 'Join' }).click();
  await page.getByRole('heading', { name: `# ${name}` }).waitFor();
}

export const line = (page: Page, text: string): Locator => page.getByRole('log').locator('li').filter({ hasText: text });
