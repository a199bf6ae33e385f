/** Packets of DNS, as the library gives and takes them. */
import type { QueryPacket, ResponseOutgoingPacket, ResponsePacket } from 'multicast-dns';

/** What came from the network: the types of what is in its records are claims. */
export type Received = QueryPacket | ResponsePacket;
export type DnsRecord = ResponseOutgoingPacket['answers'][number];

export interface Query {
  questions: Received['questions'];
  /** Answers that are known already. */
  answers: DnsRecord[];
}
export interface Response {
  answers: DnsRecord[];
  /** Those of a query that came from a port of its own. */
  id?: number;
  questions?: Received['questions'];
}
