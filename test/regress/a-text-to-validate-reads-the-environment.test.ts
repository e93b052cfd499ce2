/**
 * `POST /config:validate` filled in `${NAME}` of the text that was sent and told what it would change, values and all: who could
 * call the admin API read the environment of Fairlead, and what its operator keeps there.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SECRET = 'geheim-9f8e7d';
const IN_USE = `state_file: false
backends: ["http://\${BACKEND}:1"]
`;

async function running(): Promise<(text: string) => Promise<string>> {
  const file = join(temporaryFolder(), 'fairlead.yaml');
  await writeFile(file, IN_USE);
  const { adminUrl } = await startFairlead({
    args: ['--config', file],
    env: { SECRET, NUMBER: '424242', BACKEND: '127.0.0.1', OBJECT: `{"${SECRET}":{}}` },
  });
  return async (text) => {
    const response = await fetch(`${adminUrl}/config:validate`, {
      method: 'POST',
      headers: { 'content-type': 'application/yaml' },
      body: text,
    });
    return `${response.status} ${await response.text()}`;
  };
}

const route = (more: string) => `${IN_USE}routes: [{ path: /a, pool: default, ${more} }]\n`;

test('no text that is sent makes it tell what the environment holds', async () => {
  const validate = await running();
  const texts = [
    `${IN_USE}routes: [{ path: "/\${SECRET}", pool: default }]`,
    route('request_headers: { set: { X-A: "${SECRET}" } }'),
    route('request_headers: { set: { X-A: "${SECRET:-x}" } }'),
    route('respond: { body: "${SECRET}" }').replace('pool: default, ', ''),
    route('host: "${SECRET}.example"'),
    route('strip_prefix: "/${SECRET}"'),
    `${IN_USE}pools: { b: { backends: ["http://\${SECRET}"] } }`,
    `${IN_USE}pools: "\${OBJECT}"`,
    `${IN_USE}routes: [{ pool: "\${SECRET}" }]`,
    `${IN_USE}strategy: "\${SECRET}"`,
    `${IN_USE}"log_level": "\\x24{SECRET}"`,
    `${IN_USE}timeouts: { connect: "\${NUMBER}ms" }`,
    `${IN_USE}limits: { client_connections: "\${NUMBER}" }`,
    `${IN_USE}limits: { fields: "\${NUMBER}" }`,
    `${IN_USE}timeouts: { connect: "\${NUMBER}" }`,
    IN_USE.replace('BACKEND', 'SECRET'),
    IN_USE.replace('"http', '"${SECRET}http'),
    IN_USE.replace('"http://${BACKEND}:1"', ''),
  ];
  for (const text of texts) {
    const answer = await validate(text);
    expect(`${text}: ${answer}`).not.toMatch(/geheim|9f8e7d|424242|424\.|424s|7m4/i);
    expect(answer).toMatch(/^(200|422) /);
  }
});

test('the change is told all the same, as it is written or by its key', async () => {
  const validate = await running();
  const changes = async (text: string): Promise<unknown> => {
    const answer = await validate(text);
    expect(answer).toMatch(/^200 /);
    return (JSON.parse(answer.slice(4)) as { readonly changes: unknown }).changes;
  };
  // In force at the same place: no secret.
  expect(await changes(`${IN_USE}log_level: debug`)).toMatchObject([{ path: 'log_level' }]);
  const rule = await changes(route('request_headers: { set: { X-A: "a ${SECRET}" } }'));
  expect(JSON.stringify(rule)).toContain('"X-A":"a $${SECRET}"');
  expect(await changes(`${IN_USE}limits: { client_connections: "\${NUMBER}" }`)).toEqual([
    { path: 'limits', change: 'changed', before: '***', after: '***' },
  ]);
});

test('of a problem it is told where it is', async () => {
  const validate = await running();
  const answer = await validate(`${IN_USE}strategy: "\${SECRET}"\nprot: 1\n`);
  const { problems } = JSON.parse(answer.slice(4)) as { readonly problems: unknown };
  expect(problems).toMatchObject([
    { path: 'strategy', line: 3, message: expect.stringContaining('is not shown') as unknown },
    { path: 'prot', line: 4, hint: 'did you mean "port"?' },
  ]);
});
