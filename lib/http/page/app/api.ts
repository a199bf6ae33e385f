/** What the node is asked. Its answers are those of the program that the page is a part of, and believed. */
import type { FolderList, SearchLine } from '../contract.js';
import { folderUrl } from './route.js';

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class NoAnswer extends Error {}

async function ask(url: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(url, init).catch((error: unknown) => {
    if (init.signal?.aborted === true) throw error;
    throw new NoAnswer('The node does not answer.');
  });
  if (answer.ok) return answer;
  const why = (await answer.text()).trim().slice(0, 200);
  throw new Error(why === '' ? `The node answered ${answer.status}.` : why);
}

export async function askJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  const headers = { Accept: 'application/json' };
  const answer = await ask(url, { headers, ...(signal === undefined ? {} : { signal }) });
  return (await answer.json()) as T;
}

export function listFolder(
  path: string,
  after: string | undefined,
  signal: AbortSignal,
): Promise<FolderList> {
  const query = after === undefined ? '' : `?${new URLSearchParams({ after }).toString()}`;
  const url = path === '' ? '/files/' : folderUrl(path);
  return askJson(`${url}${query}`, signal);
}

/** Results as they come, some at a time. */
export async function* search(
  query: string,
  ttl: number,
  signal: AbortSignal,
): AsyncGenerator<SearchLine[]> {
  const parameters = new URLSearchParams({ q: query, ttl: `${ttl}` });
  const { body } = await ask(`/search?${parameters.toString()}`, { signal });
  const decoder = new TextDecoder();
  const reader = body?.getReader();
  let rest = '';
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    const lines = (rest + decoder.decode(part.value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    const whole = lines.filter((line) => line !== '');
    if (whole.length > 0) yield whole.map((line) => JSON.parse(line) as SearchLine);
  }
}

/** The beginning of a file as text. @returns undefined: it is none */
export async function textOf(
  url: string,
  bytes: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers = { Range: `bytes=0-${bytes - 1}` };
  const answer = await ask(url, { headers, signal });
  const content = new Uint8Array(await answer.arrayBuffer()).subarray(0, bytes);
  return content.includes(0) ? undefined : new TextDecoder().decode(content, { stream: true });
}
