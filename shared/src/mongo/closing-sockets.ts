// Mends a fault of the MongoDB driver (7.9 and before): a command that is written to a socket which has been destroyed, but has not emitted
// `close` yet, waits for `drain`, which never comes. When the monitor's command does so, the driver never finds its server again.
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

// https://nodejs.org/api/diagnostics_channel.html#event-netclientsocket; every client socket of the process is among them, so nobody is woken
// before all have heard that theirs is closed. Whoever waits then finds it so, and says so.
subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  socket.once('close', () => process.nextTick(() => socket.emit('drain')));
});
