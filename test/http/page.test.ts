/** The web page in a browser: what people do with it. */
import { readFileSync } from 'node:fs';
import { hashBlock } from '../../lib/hash/blake3.js';
import { formatAddress } from '../../lib/net/address.js';
import { NO_BROWSER, startBrowser, visit } from '../fixtures/browser.js';
import { startSharing } from '../fixtures/network.js';
import t, { type Test } from '../fixtures/tap.js';

/** What tests use of elements. */
interface Picture {
  readonly naturalWidth: number;
  decode(): Promise<void>;
}
interface Sound {
  readonly duration: number;
  currentTime: number;
  ontimeupdate: (event: unknown) => void;
  onseeked: () => void;
  pause(): void;
}

/** One second of a tone: 8,000 samples of one byte. */
function wav(): Buffer {
  const samples = Buffer.from(Array.from({ length: 8000 }, (_, i) => 128 + 60 * Math.sin(i / 3)));
  const head = Buffer.alloc(44);
  head.write('RIFF\0\0\0\0WAVEfmt ');
  head.writeUInt32LE(36 + samples.length, 4);
  for (const [at, value] of [
    [16, 16],
    [24, 8000],
    [28, 8000],
    [40, samples.length],
  ] as const) {
    head.writeUInt32LE(value, at);
  }
  for (const [at, value] of [
    [20, 1],
    [22, 1],
    [32, 1],
    [34, 8],
  ] as const) {
    head.writeUInt16LE(value, at);
  }
  head.write('data', 36);
  return Buffer.concat([head, samples]);
}

const FILES = {
  'notes.txt': 'Tokyo, Kyoto\n<b>not bold</b>\n',
  'empty.txt': '',
  'photos/2024/a.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>',
  'photos/2024/b.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="50" height="30"/>',
  'music/tone.wav': wav(),
  'odd & <i>name<i> #1?.bin': Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251)),
};

void t.test('the page', { skip: NO_BROWSER }, async (t) => {
  const browser = await startBrowser(t);
  const node = await startSharing(t, 0, FILES);
  const origin = `http://${formatAddress(node.address)}`;
  const open = (one: Test, options = {}): ReturnType<typeof visit> =>
    visit(one, browser, origin, options);

  await t.test('folders, a text, a picture, and back again', async (t) => {
    const { page, faults } = await open(t);
    await page.goto('/');
    const names = page.locator('.rows .name');
    await names.first().waitFor();
    t.same(await names.allTextContents(), [
      ...['music', 'photos'],
      ...['empty.txt', 'notes.txt', 'odd & <i>name<i> #1?.bin'],
    ]);
    await page.getByRole('link', { name: 'notes.txt' }).click();
    const dialog = page.getByRole('dialog', { name: 'notes.txt' });
    await dialog.getByText('<b>not bold</b>').waitFor();
    t.equal(await dialog.locator('pre').textContent(), FILES['notes.txt']);
    await dialog.getByRole('button', { name: 'Previous file' }).click();
    await page.getByText('The file is empty.').waitFor();
    await page.goBack();
    await dialog.waitFor({ state: 'detached' });

    await page.getByRole('link', { name: 'photos' }).click();
    await page.getByRole('link', { name: '2024' }).click();
    await page.getByRole('link', { name: 'b.svg' }).click();
    const width = (): Promise<unknown> =>
      page
        .locator('.stage img')
        .evaluate((image: Picture) => image.decode().then(() => image.naturalWidth));
    t.equal(await width(), 50);
    await page.reload();
    t.equal(await width(), 50);
    await page.getByRole('button', { name: 'Close' }).click();
    t.match(page.url(), /\/files\/photos\/2024\/$/);
    await page.getByRole('navigation', { name: 'Folder' }).getByText('Files').click();
    await page.getByRole('link', { name: 'music' }).waitFor();
    t.same(faults, []);
  });

  await t.test('sound plays, and can be sought in', async (t) => {
    const { page, faults } = await open(t);
    await page.goto('/files/music/');
    await page.getByRole('link', { name: 'tone.wav' }).click();
    const audio = page.locator('audio');
    const playing = (element: Sound): unknown =>
      element.currentTime > 0 ||
      new Promise((resolve) => {
        element.ontimeupdate = resolve;
      });
    await audio.evaluate(playing);
    t.equal(await audio.evaluate((element: Sound) => element.duration), 1);
    const sought = (element: Sound): unknown => {
      element.pause();
      return new Promise((resolve) => {
        element.onseeked = () => {
          resolve(element.currentTime);
        };
        element.currentTime = 0.5;
      });
    };
    t.equal(await audio.evaluate(sought), 0.5);
    t.same(faults, []);
  });

  await t.test('a download has the bytes; the hash and the command can be copied', async (t) => {
    const { page, faults } = await open(t, { permissions: ['clipboard-read'] });
    await page.goto('/');
    const name = 'odd & <i>name<i> #1?.bin';
    await page.getByRole('link', { name }).click();
    const dialog = page.getByRole('dialog', { name });
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      dialog.getByRole('link', { name: 'Download' }).click(),
    ]);
    t.same(readFileSync(await download.path()), FILES[name]);
    const hash = await dialog.getByRole('textbox', { name: 'Hash' }).inputValue();
    t.equal(hash, Buffer.from(hashBlock(FILES[name])).toString('hex'));
    await dialog.getByRole('button', { name: 'Copy: Command' }).click();
    await dialog.getByText('Copied').waitFor();
    t.equal(
      await page.evaluate('navigator.clipboard.readText()'),
      `p2p-fetch ${formatAddress(node.address)} ${hash} -o 'odd _ _i_name_i_ _1_.bin'`,
    );
    t.same(faults, []);
  });

  await t.test('by keyboard alone', async (t) => {
    const { page, faults } = await open(t);
    await page.goto('/');
    await page.locator('.rows .name').first().waitFor();
    const press = async (...keys: string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key);
    };
    const focused = (): Promise<unknown> => page.evaluate('document.activeElement.textContent');
    await press('ArrowDown');
    t.equal(await focused(), 'music');
    await press('End', 'ArrowUp', 'ArrowUp', 'Enter');
    await page.getByRole('dialog', { name: 'empty.txt' }).waitFor();
    await press('ArrowRight');
    const dialog = page.getByRole('dialog', { name: 'notes.txt' });
    await dialog.waitFor();
    await press('Escape');
    await dialog.waitFor({ state: 'detached' });
    t.equal(await focused(), 'empty.txt');
    await press('Home', 'Enter');
    await page.getByRole('link', { name: 'tone.wav' }).waitFor();
    await press('/');
    t.equal(await page.evaluate('document.activeElement.id'), 'q');
    t.same(faults, []);
  });

  await t.test('360 pixels wide, dark and light', async (t) => {
    const grounds = new Set();
    for (const colorScheme of ['dark', 'light'] as const) {
      const viewport = { width: 360, height: 640 };
      const { page, faults } = await open(t, { viewport, colorScheme });
      for (const place of ['/', '/files/photos/2024/#a.svg', '/#notes.txt', '/?network']) {
        await page.goto('about:blank');
        await page.goto(place);
        await page.locator('.row, .numbers').first().waitFor();
        const beyond = 'document.documentElement.scrollWidth - innerWidth';
        t.ok(Number(await page.evaluate(beyond)) <= 0, place);
      }
      grounds.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      t.same(faults, []);
    }
    t.equal(grounds.size, 2);
  });

  await t.test('without scripts', async (t) => {
    const { page, faults } = await open(t, { javaScriptEnabled: false });
    await page.goto('/');
    await page.waitForURL('**/files/');
    await page.getByRole('link', { name: 'photos' }).click();
    await page.getByRole('link', { name: '2024' }).click();
    t.equal(await page.getByRole('listitem').count(), 2);
    await page.getByRole('link', { name: 'a.svg' }).click();
    await page.waitForURL('**/files/photos/2024/a.svg');
    t.same(faults, []);
  });
});
