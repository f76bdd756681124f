// A trace as text: who did what, because of what, when and for how long.
import type { ReceivedSpan } from './receiver.ts';

export const isStatement = ({ attributes }: ReceivedSpan) => attributes['db.system.name'] !== undefined;

export interface Node {
  span: ReceivedSpan;
  below: Node[];
}

/** The trees of a trace, each span below its parent, in the order of their beginnings. A span whose parent is missing stands at the top. */
export function treesOf(spans: readonly ReceivedSpan[]): Node[] {
  const nodes = new Map(spans.map((span): [string, Node] => [span.spanId, { span, below: [] }]));
  const tops: Node[] = [];
  for (const node of nodes.values()) (nodes.get(node.span.parentSpanId ?? '')?.below ?? tops).push(node);
  for (const list of [tops, ...[...nodes.values()].map(({ below }) => below)])
    list.sort((a, b) => a.span.startedAt - b.span.startedAt);
  return tops;
}

/**
 * A line for each span: its service, kind and name, when it began after the first one, and how long it took.
 * @param spans of one trace
 * @param withStatements whether statements of a database have lines of their own; else they are counted
 */
export function drawTrace(spans: readonly ReceivedSpan[], withStatements: boolean): string[] {
  const begunAt = Math.min(...spans.map(({ startedAt }) => startedAt));
  const rows: { left: string; right: string }[] = [];
  const draw = ({ span, below }: Node, first: string, rest: string) => {
    const { service, kind, name, startedAt, endedAt, attributes, isError } = span;
    const statements = withStatements ? [] : below.filter((node) => isStatement(node.span));
    const others = below.filter((node) => !statements.includes(node));
    const event = kind === 'consumer' ? attributes['cloudevents.event_type'] : undefined;
    const outcome = attributes['http.response.status_code'] ?? attributes['order.status'] ?? attributes['error.type'];
    const notes = [
      ...(event === undefined ? [] : [`of ${event}`]),
      ...(outcome === undefined ? [] : [`→ ${outcome}`]),
      ...(isError && outcome === undefined ? ['→ failed'] : []),
      ...(statements.length === 0 ? [] : [`(${statements.length} statements)`]),
    ];
    rows.push({
      left: `${first}${service}  ${kind}  ${name} ${notes.join(' ')}`.trimEnd(),
      right: `${(startedAt - begunAt).toFixed(1).padStart(8)} ms ${(endedAt - startedAt).toFixed(1).padStart(8)} ms`,
    });
    for (const [index, node] of others.entries()) {
      const isLast = index === others.length - 1;
      draw(node, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`);
    }
  };
  for (const tree of treesOf(spans)) draw(tree, '', '');
  const width = Math.max(...rows.map(({ left }) => left.length));
  return [
    `${''.padEnd(width)}     after        took`,
    ...rows.map(({ left, right }) => `${left.padEnd(width)}${right}`),
  ];
}
