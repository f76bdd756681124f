// One definition of BSON's order of values: a string whose plain comparison is that order; indexes, sorts and comparisons all use it.
import { Binary, Decimal128, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';

export type Doc = Record<string, unknown>;

/** First character of an encoded value; the gaps leave room for `after()`. */
const type = {
  minKey: '\x01',
  emptyArray: '\x03',
  missing: '\x05',
  null: '\x07',
  number: '\x10',
  string: '\x20',
  object: '\x30',
  array: '\x40',
  binary: '\x50',
  objectId: '\x60',
  boolean: '\x70',
  date: '\x80',
  timestamp: '\x90',
  regex: '\xa0',
  maxKey: '\xf0',
};

/** Greater than every encoding that starts with `prefix` and goes on with a further value. */
export const afterPrefix = (prefix: string): string => `${prefix}\uffff`;

/** Encodes a value so that `<` on the results is MongoDB's comparison order; no encoding is the beginning of another. */
export function encodeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return type.string + encodeText(value);
    case 'number':
      return type.number + encodeNumber(value);
    case 'bigint':
      return type.number + encodeNumber(Number(value));
    case 'boolean':
      return type.boolean + (value ? '1' : '0');
    case 'undefined':
      return type.missing;
    default:
      return encodeObject(value);
  }
}

function encodeObject(value: unknown): string {
  if (value === null) return type.null;
  if (value instanceof Date) return type.date + encodeNumber(value.getTime());
  if (value instanceof ObjectId) return type.objectId + value.toHexString();
  if (Array.isArray(value)) return `${type.array}${value.map((item) => `\x01${encodeValue(item ?? null)}`).join('')}\0`;
  if (value instanceof Timestamp) return type.timestamp + value.toBigInt().toString(16).padStart(16, '0');
  if (value instanceof Long || value instanceof Decimal128) return type.number + encodeNumber(Number(value.toString()));
  if (value instanceof Binary) {
    const length = value.position.toString(16).padStart(8, '0');
    return type.binary + length + String.fromCharCode(value.sub_type, ...value.value());
  }
  if (value instanceof RegExp) return type.regex + encodeText(value.source) + encodeText(value.flags);
  if (value instanceof MinKey) return type.minKey;
  if (value instanceof MaxKey) return type.maxKey;
  const fields = Object.entries(value as Doc).map(([name, field]) => {
    const encoded = encodeValue(field ?? null);
    return `\x01${encoded.charAt(0)}${encodeText(name)}${encoded}`;
  });
  return `${type.object}${fields.join('')}\0`;
}

const encodeText = (text: string): string => `${text.includes('\0') ? text.replaceAll('\0', '\0\x01') : text}\0\0`;

const scratch = new DataView(new ArrayBuffer(8));

/** An IEEE 754 number as four characters in numeric order: the sign bit flipped, all bits of a negative number flipped. */
function encodeNumber(number: number): string {
  if (Number.isNaN(number)) return '\0\0\0\0';
  scratch.setFloat64(0, number === 0 ? 0 : number);
  const negative = scratch.getUint16(0) >= 0x8000;
  const [first, ...rest] = [0, 2, 4, 6].map((offset) => scratch.getUint16(offset));
  return String.fromCharCode(
    (first ?? 0) ^ (negative ? 0xffff : 0x8000),
    ...rest.map((part) => part ^ (negative ? 0xffff : 0)),
  );
}

/** Every encoding of the same type as `encoded` lies between these two. */
export function typeBracket(encoded: string): { low: string; high: string } {
  return { low: encoded.charAt(0), high: String.fromCharCode(encoded.charCodeAt(0) + 1) };
}

export function compareValues(a: unknown, b: unknown): number {
  const [left, right] = [encodeValue(a), encodeValue(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** What a filter or an index sees at a dotted path: one value, or one per element of the arrays on the way; `undefined` = missing. */
export function valuesAt(value: unknown, path: string): unknown[] {
  const dot = path.indexOf('.');
  const [name, rest] = dot < 0 ? [path, undefined] : [path.slice(0, dot), path.slice(dot + 1)];
  if (Array.isArray(value)) {
    const elements = value.flatMap((element) => (isDoc(element) ? valuesAt(element, path) : []));
    const byPosition = /^\d+$/.test(name)
      ? [rest === undefined ? value[Number(name)] : valuesAt(value[Number(name)], rest)]
      : [];
    return elements.length + byPosition.length > 0 ? [...elements, ...byPosition.flat()] : [undefined];
  }
  if (!isDoc(value) || !Object.hasOwn(value, name)) return [undefined];
  return rest === undefined ? [value[name]] : valuesAt(value[name], rest);
}

/** A plain document: not an array, a date or one of BSON's own types. */
export function isDoc(value: unknown): value is Doc {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** What an index holds for a document at a path: each element of an array on its own, missing as null. */
export function indexedValues(doc: Doc, path: string): { values: string[]; isArray: boolean } {
  const found = valuesAt(doc, path);
  const isArray = found.length > 1 || Array.isArray(found[0]);
  if (!isArray) return { values: [encodeValue(found[0] ?? null)], isArray };
  const elements = found.flatMap((value) => (Array.isArray(value) && value.length > 0 ? value : [value]));
  return { values: [...new Set(elements.map((value) => encodeValue(value ?? null)))], isArray };
}

function sortKey(doc: Doc, path: string, direction: number): string {
  const values = valuesAt(doc, path).flatMap((value) => {
    if (!Array.isArray(value)) return encodeValue(value ?? null);
    return value.length === 0 ? type.emptyArray : value.map((element) => encodeValue(element ?? null));
  });
  return values.reduce((best, value) => (value < best === direction > 0 ? value : best));
}

/** Sorts by a `{path: 1 | -1}` specification; documents that tie keep their order. */
export function sortDocs(docs: Doc[], spec: Doc): Doc[] {
  const paths = Object.entries(spec).map(([path, direction]) => ({ path, direction: Number(direction) }));
  const keyed = docs.map((doc) => ({ doc, keys: paths.map(({ path, direction }) => sortKey(doc, path, direction)) }));
  keyed.sort((a, b) => {
    for (const [i, { direction }] of paths.entries()) {
      const [left, right] = [a.keys[i] ?? '', b.keys[i] ?? ''];
      if (left !== right) return left < right ? -direction : direction;
    }
    return 0;
  });
  return keyed.map(({ doc }) => doc);
}
