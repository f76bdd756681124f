// Preloaded into a service (`node --import`) that is to be weighed: at SIGUSR2 it lets go of all that it does not need.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
// https://v8.github.io/api/head/classv8_1_1Isolate.html: as when memory has run out, so that what is free is given back to the system as well.
const collect: (options: object) => void = runInNewContext('gc');
process.on('SIGUSR2', () => collect({ type: 'major', execution: 'sync', flavor: 'last-resort' }));
