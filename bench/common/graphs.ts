/** Who is linked with whom: the neighbours of each node, by number. Links go both ways. */
export type Graph = readonly (readonly number[])[];

function fromLinks(nodes: number, links: Iterable<readonly [number, number]>): Graph {
  const graph = Array.from({ length: nodes }, () => new Set<number>());
  for (const [a, b] of links) {
    if (a === b) continue;
    graph[a]?.add(b);
    graph[b]?.add(a);
  }
  return graph.map((neighbours) => [...neighbours]);
}

export function graphOf(nodes: number, ...links: readonly [number, number][]): Graph {
  return fromLinks(nodes, links);
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export function line(nodes: number): Graph {
  return fromLinks(
    nodes,
    numbers(nodes - 1).map((i) => [i, i + 1]),
  );
}

export function ring(nodes: number): Graph {
  return fromLinks(
    nodes,
    numbers(nodes).map((i) => [i, (i + 1) % nodes]),
  );
}

/** Node 0 in the middle. */
export function star(nodes: number): Graph {
  return fromLinks(
    nodes,
    numbers(nodes).map((i) => [0, i]),
  );
}

export function clique(nodes: number): Graph {
  return fromLinks(
    nodes,
    numbers(nodes).flatMap((i) => numbers(i).map((j): [number, number] => [i, j])),
  );
}

/** Each node has so many below it; node 0 at the top. */
export function tree(nodes: number, children: number): Graph {
  return fromLinks(
    nodes,
    numbers(nodes)
      .slice(1)
      .map((i) => [i, Math.floor((i - 1) / children)]),
  );
}

/**
 * Random links, `degree` (even) a node, fewer where two fall together: rings through all nodes, each in
 * an order of its own, so that every node is reached from every other.
 */
export function randomGraph(nodes: number, degree: number, random: () => number): Graph {
  const rings = Array.from({ length: degree / 2 }, () => shuffled(nodes, random));
  return fromLinks(
    nodes,
    rings.flatMap((order) =>
      order.map((node, i): [number, number] => [node, order[(i + 1) % nodes] ?? node]),
    ),
  );
}

/**
 * A network of circles of friends (Watts and Strogatz 1998): each node knows the `degree` next to it,
 * and one link in `1 / far` goes to any other instead.
 */
export function smallWorld(
  nodes: number,
  degree: number,
  far: number,
  random: () => number,
): Graph {
  return fromLinks(
    nodes,
    numbers(nodes).flatMap((i) =>
      numbers(degree / 2).map((j): [number, number] => {
        const other = random() < far ? Math.floor(random() * nodes) : (i + j + 1) % nodes;
        return [i, other];
      }),
    ),
  );
}

function shuffled(n: number, random: () => number): number[] {
  const order = numbers(n);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? j, order[i] ?? i];
  }
  return order;
}

/** Hops from one node to each; Infinity where there is no way. */
export function hopsFrom(graph: Graph, from: number): number[] {
  const hops = graph.map(() => Infinity);
  hops[from] = 0;
  const queue = [from];
  for (const node of queue) {
    for (const next of graph[node] ?? []) {
      if (hops[next] !== Infinity) continue;
      hops[next] = (hops[node] ?? 0) + 1;
      queue.push(next);
    }
  }
  return hops;
}
