/** QR codes (ISO/IEC 18004) for a terminal. */
import { styleText } from 'node:util';

/** Empty modules around a code, which a reader needs to find it. */
const QUIET_ZONE = 4;

/**
 * Loads what makes QR codes.
 *
 * @param stream where they are shown
 * @returns gives the lines of a text's code, two rows of modules a line: on a terminal with its own black and white,
 * whatever the terminal's are; elsewhere light modules are blocks, dark ones spaces
 */
export async function loadQrCode(
  stream: { readonly isTTY: boolean } = process.stdout,
): Promise<(text: string) => string> {
  const { renderUnicodeCompact } = await import('uqr');
  return (text) => {
    const code = renderUnicodeCompact(text, { border: QUIET_ZONE });
    if (!stream.isTTY) return code;
    return code
      .split('\n')
      .map((line) => styleText(['bgBlack', 'whiteBright'], line))
      .join('\n');
  };
}
