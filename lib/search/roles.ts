/** The interfaces of the peers in a search: those that ask this node, and those it asks. */
import type { Misbehaviour } from '../limits/peer-score.js';
import type {
  FileList,
  PeerContact,
  PeerId,
  Search,
  SearchEnd,
  ThirdPartyHasFiles,
} from '../wire/messages.js';

/** What comes in answer to a search that was passed on. */
export interface SearchEvents {
  /** The neighbour's own matches; all there is to come when it was asked with ttl 0. */
  files(list: FileList): void;
  third(result: ThirdPartyHasFiles): void;
  /** Nothing more comes. Without counts: it refused, or the connection was lost. */
  end(end: SearchEnd | undefined): void;
}

/** A peer that searches are passed on to. */
export interface RelayTarget {
  /** Its id; with its address when several peers claim that id. */
  readonly id: string;
  /** Where others reach it. */
  readonly contact: PeerContact;
  /** It is there for some peers alone, and must know for whom it is asked. */
  readonly isPrivate?: boolean | undefined;
  /**
   * Send the search and tell what comes. Events may come before this returns.
   *
   * @returns gives up: what comes from then on is not wanted
   */
  ask(search: Search, on: SearchEvents): () => void;
  /** It has done what no honest peer does. */
  penalise?(kind: Misbehaviour): void;
  /** A peer that it names, if its address is believed; undefined if not. @default every one */
  believes?(peer: PeerContact): PeerContact | undefined;
}

/** The sender of a search. */
export interface Asker {
  /** Its id, if it said one; with its address when several peers claim that id. */
  readonly id?: string | undefined;
  /**
   * Whether this node passes searches on to it. What another peer replays under the id of a search
   * must not keep a neighbour's from being passed on. @default true
   */
  readonly isNeighbour?: boolean | undefined;
  /** The same for all searches that share a rate, such as those of one connection. */
  readonly key: object | string;
  /** Aborted when it is gone. Askers for which a node searches its own files take turns. */
  readonly signal?: AbortSignal | undefined;
  /** From where it comes, if that is known: several may come from there. */
  readonly client?: string | undefined;
  /**
   * Tell the ids of the peers that it passes searches on to itself: at once when they are remembered,
   * later when it must be asked. An empty set when that fails; perhaps never.
   */
  peers(then: (ids: ReadonlySet<PeerId>) => void): void;
  /**
   * Send one answer. RPFL and ACKN, one of each a search, are always taken.
   *
   * @param spare a TPHF that may only have a part of the room, so that others have some, too
   * @returns false when so much waits to be sent that this TPHF is dropped
   */
  send(answer: FileList | ThirdPartyHasFiles | SearchEnd, spare?: boolean): boolean;
  /** It has done what no honest peer does. */
  penalise?(kind: Misbehaviour): void;
  /** Call `action` when it is gone, or now if it is gone already. @returns forgets it */
  onClosed(action: () => void): () => void;
}

/** What became of searches and answers since the start. */
export interface RelayStats {
  /** Searches that came for the first time, again with a higher ttl, and again without. */
  fresh: number;
  again: number;
  duplicates: number;
  /** Searches refused as busy. */
  refused: number;
  /** Searches answered and not passed on, because their client had more than its part. */
  kept: number;
  /** Times that a search was sent to a neighbour. */
  passedOn: number;
  /** TPHF sent to askers; and those that found the asker's queue full. */
  relayed: number;
  dropped: number;
  /** TPHF above a limit, dropped or cut short. */
  capped: number;
  /** Neighbours given up because they sent more than anybody may. */
  excess: number;
  /** Lists with more entries than were asked for. */
  oversized: number;
  /** TPHF that named a peer for the second time. */
  repeated: number;
  /** TPHF whose peer is at an address that is not believed of the neighbour. */
  unbelieved: number;
  /** Answers that do not belong to what was asked. */
  stray: number;
  /** Answers after the end. */
  late: number;
}
