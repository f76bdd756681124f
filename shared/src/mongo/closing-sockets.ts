// Mends a fault of the MongoDB driver (7.9 and before): a command that is written to a socket which has been destroyed, but has not emitted
// `close` yet, waits for `drain`, which never comes. When the monitor's command does so, the driver never finds its server again.
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

// https://nodejs.org/api/diagnostics_channel.html#event-netclientsocket; whoever waits then finds the connection closed, and says so.
subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  socket.once('close', () => socket.emit('drain'));
});
