// `flood` in a process of its own: a crowd does not share its processor time with those who measure.
import { text } from 'node:stream/consumers';
import { flood } from './flood.ts';

console.log(JSON.stringify(await flood(JSON.parse(await text(process.stdin)))));
