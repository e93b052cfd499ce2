/** `httputil.ReverseProxy` of Go's standard library: go/main.go, compiled into the temporary folder. */
import { fileURLToPath } from 'node:url';
import { freePorts } from '../stage.mjs';
import { Missing, mustBeInstalled } from './peer.mjs';

const SOURCE = fileURLToPath(new URL('go/main.go', import.meta.url));

/** @satisfies {import('./peer.mjs').Peer} */
export const go = {
  name: 'go',

  async find({ stage }) {
    mustBeInstalled('go', 'golang-go');
    const env = { GOPROXY: 'off', GOTOOLCHAIN: 'local', GO111MODULE: 'off' };
    const build = ['build', '-o', stage.path('go-proxy'), SOURCE];
    const { status, output } = await stage.run('go', build, { env });
    if (status !== 0) throw new Missing(`it does not compile: ${output.trim()}`);
    const version = await stage.run('go', ['version'], { env });
    return /go(\d[\w.]*)/.exec(version.output)?.[1] ?? '?';
  },

  async start({ stage }, { backends, tls }) {
    const [port] = await freePorts(1);
    const command = ['-port', String(port), '-backends', backends.join(',')];
    if (tls !== undefined) command.push('-cert', tls.cert, '-key', tls.key);
    const env = { GOMAXPROCS: '1' };
    return { child: stage.startProxy(stage.path('go-proxy'), command, { env }), port };
  },
};
