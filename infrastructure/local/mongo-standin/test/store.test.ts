// Any interleaving of writes, transactions and reads: what a query finds is what a plain model of snapshots says, whatever index it takes.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { docKey } from '../collection.ts';
import { CommandError } from '../errors.ts';
import { compileFilter } from '../expressions.ts';
import { type Doc, sortDocs } from '../order.ts';
import { findDocs } from '../query.ts';
import { LockHeld, openStore, type Transaction, type Unit } from '../store.ts';
import { temporaryFolder } from './server.ts';

const ns = 'test.docs';
/** Documents off the wire have a prototype. */
const plain = { noNullPrototype: true };
const value = fc.constantFrom<unknown>(undefined, null, 1, 2, 'x', [1, 2], [], { b: 1 }, [{ b: 1 }, { b: 2 }], [0, 5]);
const doc = fc.record({ _id: fc.integer({ min: 1, max: 6 }), a: value, c: fc.integer({ min: 1, max: 3 }) }, plain);
const comparand = fc.constantFrom<unknown>(null, 1, 2, 'x');
const condition = fc.oneof(
  comparand,
  comparand.map(($gte) => ({ $gte })),
  fc.record({ $gt: fc.constantFrom(0, 1), $lt: fc.constantFrom(2, 3) }, plain),
  fc.array(comparand, { maxLength: 3 }).map(($in) => ({ $in })),
);
const filter = fc
  .tuple(fc.subarray(['_id', 'a', 'a.b', 'c'], { maxLength: 2 }), condition, condition)
  .map(([fields, ...conditions]): Doc => Object.fromEntries(fields.map((field, i) => [field, conditions[i]])));
const sort = fc.constantFrom<Doc>(
  {},
  { _id: 1 },
  { _id: -1 },
  { c: 1, _id: 1 },
  { c: -1, _id: -1 },
  { c: 1, _id: -1 },
  { a: 1, _id: 1 },
);
const who = fc.constantFrom<'direct' | 'one' | 'two'>('direct', 'one', 'two');
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), who, doc }),
  fc.record({ do: fc.constant('remove' as const), who, id: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constant('find' as const), who, filter, sort, limit: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ do: fc.constantFrom('commit' as const, 'abort' as const), who }),
);

type Model = Map<number, Doc>;
type Open = { transaction: Transaction; seen: Model; changed: Model };

test('findDocs and transactions: agree with a model that copies everything', async () => {
  const dir = await temporaryFolder();
  const store = openStore(dir);
  try {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        store.drop(ns);
        for (const field of ['a', 'a.b', 'c']) store.createIndexes(ns, [{ name: field, key: { [field]: 1 } }]);
        store.createIndexes(ns, [{ name: 'c_a', key: { c: 1, a: 1 } }]);
        const committed: Model = new Map();
        const open = new Map<string, Open>();

        for (const each of steps) {
          let current = open.get(each.who);
          if (each.who !== 'direct' && !current) {
            current = { transaction: store.beginTransaction(), seen: new Map(committed), changed: new Map() };
            open.set(each.who, current);
          }
          const unit: Unit = current?.transaction.unit ?? store.direct;
          const model = current?.seen ?? committed;
          const end = () => {
            current?.transaction.end();
            open.delete(each.who);
          };
          if (each.do === 'find') {
            const matches = compileFilter(each.filter);
            const expected = sortDocs([...model.values()].filter(matches), { ...each.sort, _id: each.sort._id ?? 1 });
            const found = findDocs(unit.collection(ns), each.filter, { sort: each.sort, limit: each.limit });
            if (Object.keys(each.sort).length > 0 || each.limit === 0) {
              const sorted = Object.keys(each.sort).length > 0 ? found : sortDocs(found, { _id: 1 });
              assert.deepEqual(sorted, each.limit > 0 ? expected.slice(0, each.limit) : expected);
            } else {
              assert.equal(found.length, Math.min(each.limit, expected.length));
            }
          } else if (each.do === 'put' || each.do === 'remove') {
            const id = each.do === 'put' ? each.doc._id : each.id;
            const previous = model.get(id);
            const next: Doc | undefined = each.do === 'put' ? each.doc : undefined;
            if (!previous && !next) continue;
            const lockedByOther = [...open].some(([name, other]) => name !== each.who && other.changed.size > 0);
            const isStale = current !== undefined && !current.changed.has(id) && committed.get(id) !== previous;
            try {
              unit.write(ns, docKey({ _id: id }), previous, next);
              assert.equal(lockedByOther || isStale, false, 'a conflict was not noticed');
              if (next) model.set(id, next);
              else model.delete(id);
              current?.changed.set(id, next ?? {});
            } catch (error) {
              if (!(error instanceof LockHeld) && !(error instanceof CommandError)) throw error;
              assert.equal(lockedByOther || isStale, true, `${error} without a conflict`);
              end();
            }
          } else if (current) {
            if (each.do === 'commit') {
              current.transaction.commit();
              for (const id of current.changed.keys()) {
                const next = current.seen.get(id);
                if (next) committed.set(id, next);
                else committed.delete(id);
              }
            }
            end();
          }
        }
        for (const { transaction } of open.values()) transaction.end();
        assert.deepEqual(
          sortDocs(findDocs(store.collections.get(ns), {}), { _id: 1 }),
          sortDocs([...committed.values()], { _id: 1 }),
        );
      }),
      { numRuns: 300 },
    );
  } finally {
    await store.disk.close();
    await rm(dir, { recursive: true });
  }
});
