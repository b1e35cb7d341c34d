// Drives a stdio server with an official client, for tests/interop/run.py, which copies this file to
// where the clients are installed. The argument is JSON: client (v1, v2-auto, v2-pin, v2-legacy),
// command, args, env, calls ([name, arguments, cancelAfterMs?] each); with answer (accept, decline) it is
// a client that opens pages: what it accepts it pays 1 s later, from another process, and what was
// refused with -32042 it calls once more. Prints one JSON object.

import { execFile } from 'node:child_process';

const order = JSON.parse(process.argv[2]);
const info = { name: 'farebox-interop', version: '1' };

const URL_REQUIRED = -32042;
const capabilities = order.answer ? { elicitation: { form: {}, url: {} } } : {};
const asked = [];

function pay(page) {
  const payment = page.url.slice(page.url.lastIndexOf('/') + 1);
  setTimeout(() => execFile(order.command, ['sandbox', 'pay', payment], { env: order.env }), 1000);
}

function elicit({ params }) {
  asked.push(params);
  if (order.answer === 'accept')
    pay(params);
  return { action: order.answer };
}

async function connect() {
  const server = { command: order.command, args: order.args, env: order.env, stderr: 'pipe' };
  let client, transport;
  if (order.client === 'v1') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    client = new Client(info, { capabilities });
    if (order.answer) {
      const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
      client.setRequestHandler(ElicitRequestSchema, async (request) => elicit(request));
    }
    transport = new StdioClientTransport(server);
  } else {
    const { Client } = await import('@modelcontextprotocol/client');
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const mode = { 'v2-auto': 'auto', 'v2-legacy': 'legacy', 'v2-pin': { pin: '2026-07-28' } };
    client = new Client(info, { capabilities, versionNegotiation: { mode: mode[order.client] } });
    if (order.answer)
      client.setRequestHandler('elicitation/create', async (request) => elicit(request));
    transport = new StdioClientTransport(server);
  }
  const seen = { errors: [], stderr: '' };
  client.onerror = (e) => seen.errors.push(String(e?.message ?? e));
  await client.connect(transport);
  transport.stderr?.on('data', (data) => { seen.stderr += data; });
  return { client, seen };
}

async function call(client, one) {
  const first = await callOnce(client, one);
  if (first.thrown?.code !== URL_REQUIRED || !order.answer)
    return first;
  for (const page of first.thrown.data.elicitations)
    elicit({ params: page });
  return { ...await callOnce(client, one), first };
}

async function callOnce(client, [name, args, cancelAfterMs]) {
  const stop = new AbortController();
  if (cancelAfterMs !== undefined)
    setTimeout(() => stop.abort('the user said so'), cancelAfterMs);
  const options = { timeout: 20000, signal: stop.signal };
  try {
    if (order.client === 'v1')
      return { result: await client.callTool({ name, arguments: args }, undefined, options) };
    return { result: await client.callTool({ name, arguments: args }, options) };
  } catch (e) {
    return { thrown: { name: e?.name, code: e?.code, message: String(e?.message ?? e),
      ...(e?.data !== undefined && { data: e.data }) } };
  }
}

const { client, seen } = await connect();
const tools = (await client.listTools()).tools;
const calls = [];
for (const one of order.calls)
  calls.push(await call(client, one));
const server = client.getServerVersion?.();
const began = Date.now();
await client.close();
console.log(JSON.stringify({ tools, calls, server, closeMs: Date.now() - began, asked, ...seen }));
