// Each event type has an example message, which its publisher could have sent and its consumers understand.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { envelopeSchema, eventDefinitions } from './index.ts';

const folder = new URL('./examples/', import.meta.url);
const exampleOf = (type: string) => JSON.parse(readFileSync(new URL(`${type}.json`, folder), 'utf8'));

for (const definition of eventDefinitions) {
  test(`${definition.type}: its example is what the publisher makes and the consumer reads`, () => {
    const example = exampleOf(definition.type);
    const envelope = envelopeSchema.parse(example);
    assert.equal(envelope.type, definition.type);
    assert.equal(envelope.source, definition.from);
    assert.equal(envelope.dataschema, definition.dataschema);
    const fact = definition.of(example.data);
    assert.deepEqual(fact, { type: definition.type, subject: envelope.subject, data: example.data });
  });

  test(`${definition.type}: a consumer ignores what it does not know, and refuses what lacks a field`, () => {
    const { data } = exampleOf(definition.type);
    assert.deepEqual(definition.schema.parse({ ...data, addedLater: true }), data);
    for (const field of Object.keys(data)) {
      const { [field]: _left, ...rest } = data;
      assert.equal(definition.schema.safeParse(rest).success, false, `without ${field}`);
    }
  });
}

test('there is no example of an event that does not exist', () => {
  const types = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));
  assert.deepEqual(types.sort(), eventDefinitions.map((definition) => definition.type).sort());
});
