/** Nobody can send a node knocking at the door of another by what it claims to be there. */
import t from 'tap';
import { DialClaims } from '../../lib/discovery/dial-claims.js';
import type { PeerAddress } from '../../lib/net/address.js';

const id = (n: number): string => n.toString(16).padStart(64, '0');
const MINUTE = 60_000;

function setUp() {
  const state = { time: 1, dialled: [] as PeerAddress[], up: new Set<string>() };
  const claims = new DialClaims({
    source: 'test',
    dial: (address) => {
      state.dialled.push(address);
      return true;
    },
    isUp: ({ host, port }) => state.up.has(`${host} ${port}`),
    now: () => state.time,
  });
  return { state, claims };
}

t.test('a host is tried twice an hour, whatever is claimed of it', (t) => {
  const { state, claims } = setUp();
  const times: number[] = [];
  for (let minute = 0; minute < 180; minute++) {
    state.time = minute * MINUTE;
    for (let port = 7000; port < 7050; port++) {
      const before = state.dialled.length;
      claims.offer({ id: id(minute * 100 + port), host: '10.0.0.1', port });
      if (state.dialled.length > before) times.push(minute);
    }
  }
  for (const since of times) {
    t.ok(times.filter((at) => at >= since && at < since + 60).length <= 2, `since ${since}`);
  }
  t.ok(times.length >= 4, 'it is tried again');
  t.end();
});

t.test('where a peer is reached there may be more', (t) => {
  const { state, claims } = setUp();
  for (let port = 7000; port < 7020; port++) {
    claims.offer({ id: id(port), host: '10.0.0.1', port });
    state.up.add(`10.0.0.1 ${port}`);
    claims.reached({ host: '10.0.0.1', port });
  }
  t.equal(state.dialled.length, 20);
  claims.offer({ id: id(7000), host: '10.0.0.1', port: 7000 });
  t.equal(state.dialled.length, 20, 'one that is there is not dialled');
  t.end();
});

t.test('many hosts: a burst, then one a second', (t) => {
  const { state, claims } = setUp();
  const offerAll = (): void => {
    for (let n = 0; n < 10_000; n++) {
      claims.offer({ id: id(n), host: `10.1.${n >> 8}.${n & 255}`, port: 7000 });
    }
  };
  offerAll();
  t.equal(state.dialled.length, 64);
  state.time += 10_000;
  offerAll();
  t.equal(state.dialled.length, 74);
  t.end();
});

t.test('the addresses of one id are tried one after the other', (t) => {
  const { state, claims } = setUp();
  claims.offer({ id: id(1), host: '10.0.0.1', port: 7000 });
  claims.offer({ id: id(1), host: '10.0.0.2', port: 7000 });
  t.equal(state.dialled.length, 1);
  state.time += 3000;
  claims.offer({ id: id(1), host: '10.0.0.2', port: 7000 });
  t.equal(state.dialled.length, 2);
  t.end();
});
