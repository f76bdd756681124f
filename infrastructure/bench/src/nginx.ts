// nginx as a proxy, the bare floor of a gateway: one worker, no log. Plain, as its `proxy_pass` works unless told otherwise (before 1.29.7), with a
// new connection to the service for each request; or tuned, with connections that are kept.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { waitUntilUp } from '@glasshouse/local/processes';
import { accepts, fetchPackages, findOnPath, onFreePort } from '@glasshouse/local/servers';
import { CannotMeasure } from './arguments.ts';
import type { Started } from './measure-gateway.ts';
import type { Workshop } from './workshop.ts';

const HOW_TO_GET_IT =
  'nginx is missing, so the gateway can\'t be compared with it: install it so that "nginx" is on the PATH, or in /usr/sbin.';

interface Binary {
  command: string;
  /** Where the libraries are that came with it. */
  env: NodeJS.ProcessEnv;
}

/** @throws CannotMeasure where there is none and none can be fetched */
async function findNginx({ cacheDir, log }: Workshop): Promise<Binary> {
  const installed = [findOnPath('nginx'), '/usr/sbin/nginx'].find((file) => file !== undefined && existsSync(file));
  const { PATH } = process.env;
  if (installed !== undefined) return { command: installed, env: { PATH } };
  const dist = join(cacheDir, 'nginx-dist');
  if (!existsSync(dist))
    await fetchPackages({
      dist,
      name: 'nginx',
      // The server itself is in one of the others, by the distribution's age.
      with: /^(nginx-core|nginx-light|libpcre2-8-0|libpcre3)$/,
      howToGetIt: HOW_TO_GET_IT,
      onDownload: () => log('nginx: fetching the packages (once, about 1 MB)'),
    }).catch((error: Error) => {
      throw new CannotMeasure(error.message);
    });
  const libraries = globSync('{,usr/}lib/**/*.so.*', { cwd: dist }).map((file) => dirname(join(dist, file)));
  return {
    command: join(dist, 'usr/sbin/nginx'),
    env: { PATH, LD_LIBRARY_PATH: [...new Set(libraries)].join(':') },
  };
}

export async function startNginx(
  workshop: Workshop,
  upstreamPort: number,
  { keepsConnections }: { keepsConnections: boolean },
): Promise<Started & { version: string }> {
  const { command, env } = await findNginx(workshop);
  const name = keepsConnections ? 'nginx-kept' : 'nginx';
  const dir = join(workshop.dir, name);
  mkdirSync(join(dir, 'temporary'), { recursive: true });
  const logFile = join(dir, 'nginx.log');
  // It tells its version on the standard error.
  const version = execFileSync('sh', ['-c', '"$0" -v 2>&1', command], { env, encoding: 'utf8' });
  return onFreePort(undefined, async (port) => {
    const conf = join(dir, 'nginx.conf');
    writeFileSync(conf, configuration(dir, port, upstreamPort, keepsConnections));
    const child = await workshop.processes.start({
      name,
      stage: 'service',
      command,
      args: ['-p', dir, '-c', conf, '-e', logFile],
      env,
      logFile,
      port,
    });
    await waitUntilUp(child, logFile, () => accepts(port));
    return {
      url: `http://127.0.0.1:${port}`,
      pid: child.pid,
      version: /nginx\/(\S+)/.exec(version)?.[1] ?? 'unknown',
    };
  });
}

function configuration(dir: string, port: number, upstreamPort: number, keepsConnections: boolean): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/temporary/${name};`,
  );
  return `
daemon off;
${process.getuid?.() === 0 ? 'user root root;' : ''}
worker_processes 1;
pid ${dir}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  keepalive_requests 1000000000;
  upstream service {
    server 127.0.0.1:${upstreamPort};
    ${keepsConnections ? 'keepalive 64; keepalive_requests 1000000000;' : ''}
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://service;
      ${keepsConnections ? 'proxy_http_version 1.1; proxy_set_header Connection "";' : 'proxy_http_version 1.0; proxy_set_header Connection close;'}
    }
  }
}
`;
}
