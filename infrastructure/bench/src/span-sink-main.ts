// The process that takes traces over OTLP and forgets them: what it costs to send them is measured, not what becomes of them.
import { createServer } from 'node:http';

createServer((request, response) => {
  // An empty answer is one without complaints, in JSON and in protobuf.
  const type = request.headers['content-type'] ?? 'application/json';
  request.resume().on('end', () => response.setHeader('content-type', type).end());
}).listen(Number(process.argv[2]), '127.0.0.1');
