/** A file shown to people on their terminal: text as it can be shown, and nothing that is no text. */
import { PeerError } from '../../lib/errors.js';
import { printable } from '../../lib/support/printable.js';
import type { ByteSink } from '../../lib/fetch/receive/body-receiver.js';
import { StdoutSink } from '../common/stdout-sink.js';

export class TerminalSink implements ByteSink {
  readonly #stdout = new StdoutSink();
  readonly #decoder = new TextDecoder();
  #began = false;

  /** @throws PeerError ERR_USAGE when it is no text */
  async write(bytes: Uint8Array): Promise<void> {
    // A decoder takes no memory that threads share.
    const own = Buffer.from(bytes);
    if (!this.#began && own.includes(0)) {
      throw new PeerError(
        'ERR_USAGE',
        'a binary file is not written to a terminal: use -o FILE, or -o - to do it all the same',
      );
    }
    this.#began = true;
    await this.#stdout.write(Buffer.from(shown(this.#decoder.decode(own, { stream: true }))));
  }
}

/** Lines and tabs stay what they are; every other control character is shown as its number. */
function shown(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => line.split('\t').map(printable).join('\t'))
    .join('\n');
}
