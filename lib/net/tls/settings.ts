/** What both sides of a TLS connection ask for: TLS 1.3 (RFC 8446), a certificate of each, nothing remembered. */
import { constants, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { certificateOf, toPem } from './certificate.js';

/** The name of the protocol in ALPN (RFC 7301). */
export const ALPN = 'p2p-serve/1';

export interface TlsSettings extends SecureContextOptions {
  readonly ALPNProtocols: string[];
  readonly requestCert: true;
  /** Node knows no authority that has signed such a certificate: `provenId` judges it. */
  readonly rejectUnauthorized: false;
}

const settings = new WeakMap<KeyObject, TlsSettings>();

/** @param privateKey the Ed25519 key by which this side proves its id */
export function tlsSettings(privateKey: KeyObject): TlsSettings {
  let made = settings.get(privateKey);
  if (made === undefined) settings.set(privateKey, (made = makeSettings(privateKey)));
  return made;
}

let ownKey: KeyObject | undefined;

/** The key of this process, where it is given no other. */
export function processKey(): KeyObject {
  return (ownKey ??= generateKeyPairSync('ed25519').privateKey);
}

function makeSettings(privateKey: KeyObject): TlsSettings {
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: toPem(certificateOf(privateKey)),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: (hasAes() ? CIPHERS : CIPHERS.toReversed()).join(':'),
    sigalgs: 'ed25519',
    // A session that is resumed shows no certificate.
    secureOptions:
      constants.SSL_OP_NO_TICKET |
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_CIPHER_SERVER_PREFERENCE |
      constants.SSL_OP_PRIORITIZE_CHACHA,
    ALPNProtocols: [ALPN],
    requestCert: true,
    rejectUnauthorized: false,
  };
}

/** The fastest first, where the processor has AES. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
];

/** Whether the processor has instructions for AES; true where the system does not tell. */
function hasAes(): boolean {
  try {
    // proc_cpuinfo(5): "flags" on x86, "Features" on ARM.
    const [line] =
      /^(?:flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'latin1')) ?? [];
    return line === undefined || /\baes\b/.test(line);
  } catch {
    return true;
  }
}
