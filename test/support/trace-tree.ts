// A trace as a test compares it: services, kinds and names, each below its parent, in an order that does not depend on who was faster.
import { isStatement, type Node, treesOf } from '../../infrastructure/local/src/traces/draw.ts';
import type { ReceivedSpan } from '../../infrastructure/local/src/traces/receiver.ts';

export { isStatement };

const lineOf = ({ service, kind, name, attributes, links }: ReceivedSpan) => {
  const event = kind === 'consumer' ? ` ${attributes['cloudevents.event_type']}` : '';
  return `${service} ${kind} ${name}${event}${links.length > 0 ? ' (linked)' : ''}`;
};

/** @param spans of one trace; statements are left out */
export function outlineOf(spans: readonly ReceivedSpan[]): string[] {
  const linesOf = ({ span, below }: Node): string[] => {
    const parts = below.map(linesOf).toSorted((a, b) => a.join('\n').localeCompare(b.join('\n')));
    return [lineOf(span), ...parts.flat().map((line) => `  ${line}`)];
  };
  return treesOf(spans.filter((span) => !isStatement(span))).flatMap(linesOf);
}
