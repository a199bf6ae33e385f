/**
 * The certificate that a peer shows: X.509 v3 (RFC 5280) for its Ed25519 key (RFC 8410), signed by that key. Its key
 * alone has a meaning; all else is the same in every one. In DER (X.690), which Node can read but not write.
 */
import { createPublicKey, sign, type KeyObject } from 'node:crypto';

/** @param privateKey Ed25519 @returns the certificate in DER: the same bytes every time */
export function certificateOf(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const content = sequence(VERSION_3, SERIAL, ED25519, NAME, VALIDITY, NAME, spki);
  const signature = sign(null, content, privateKey);
  // A BIT STRING begins with the number of its unused bits.
  return sequence(content, ED25519, der(0x03, Buffer.of(0), signature));
}

export function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** A tag, the length, the contents, which are shorter than 64 KiB. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...(length < 128 ? [length] : long)), body]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, ...parts);
}

const VERSION_3 = der(0xa0, der(0x02, Buffer.of(2)));
const SERIAL = der(0x02, Buffer.of(1));
/** AlgorithmIdentifier: 1.3.101.112 */
const ED25519 = sequence(der(0x06, Buffer.from('2b6570', 'hex')));
/** Name: a set of one commonName (2.5.4.3), a UTF8String */
const NAME = sequence(
  der(0x31, sequence(der(0x06, Buffer.from('550403', 'hex')), der(0x0c, Buffer.from('p2p-serve')))),
);
/** A UTCTime, and the GeneralizedTime that RFC 5280, section 4.1.2.5, has for "no end". */
const VALIDITY = sequence(
  der(0x17, Buffer.from('000101000000Z')),
  der(0x18, Buffer.from('99991231235959Z')),
);
