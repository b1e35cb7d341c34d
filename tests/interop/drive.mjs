// Drives a stdio server with an official client, for tests/interop/run.py, which copies this file to
// where the clients are installed. The argument is JSON: client (v1, v2-auto, v2-pin, v2-legacy),
// command, args, env, calls ([name, arguments, cancelAfterMs?] each). Prints one JSON object.

const order = JSON.parse(process.argv[2]);
const info = { name: 'farebox-interop', version: '1' };

async function connect() {
  const server = { command: order.command, args: order.args, env: order.env, stderr: 'pipe' };
  let client, transport;
  if (order.client === 'v1') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    client = new Client(info);
    transport = new StdioClientTransport(server);
  } else {
    const { Client } = await import('@modelcontextprotocol/client');
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const mode = { 'v2-auto': 'auto', 'v2-legacy': 'legacy', 'v2-pin': { pin: '2026-07-28' } };
    client = new Client(info, { versionNegotiation: { mode: mode[order.client] } });
    transport = new StdioClientTransport(server);
  }
  const seen = { errors: [], stderr: '' };
  client.onerror = (e) => seen.errors.push(String(e?.message ?? e));
  await client.connect(transport);
  transport.stderr?.on('data', (data) => { seen.stderr += data; });
  return { client, seen };
}

async function call(client, [name, args, cancelAfterMs]) {
  const stop = new AbortController();
  if (cancelAfterMs !== undefined)
    setTimeout(() => stop.abort('the user said so'), cancelAfterMs);
  const options = { timeout: 20000, signal: stop.signal };
  try {
    if (order.client === 'v1')
      return { result: await client.callTool({ name, arguments: args }, undefined, options) };
    return { result: await client.callTool({ name, arguments: args }, options) };
  } catch (e) {
    return { thrown: { name: e?.name, code: e?.code, message: String(e?.message ?? e) } };
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
console.log(JSON.stringify({ tools, calls, server, closeMs: Date.now() - began, ...seen }));
