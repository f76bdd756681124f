// The gateway's own library for passing requests on, and nothing around it: no token, no limit, no circuit, no header of ours.
import { Agent } from 'node:http';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

const [port = '', target = ''] = process.argv.slice(2);
express()
  // Without its own plugins, as in the gateway: they make a log line of every answer.
  .use(createProxyMiddleware({ target, agent: new Agent({ keepAlive: true }), ejectPlugins: true }))
  .listen(Number(port), '127.0.0.1');
