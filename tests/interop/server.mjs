// The official server of revision 2026-07-28 as an upstream: server.mjs stdio|http
import http from "node:http";
import { McpServer, createMcpHandler, fromJsonSchema } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

const text = (value) => ({ type: "text", text: value });
const empty = fromJsonSchema({ type: "object" });
let hasMore = false;

function factory() {
  const server = new McpServer({ name: "interop", version: "1" });
  const said = fromJsonSchema({
    type: "object", properties: { text: { type: "string" } }, required: ["text"],
  });
  server.registerTool("echo", { description: "Says it.", inputSchema: said, outputSchema: said },
    async (args) => ({ content: [text(JSON.stringify(args))], structuredContent: args }));
  server.registerTool("fails", { inputSchema: empty }, async () => ({ content: [text("no")], isError: true }));
  server.registerTool("throws", { inputSchema: empty }, async () => { throw new Error("thrown"); });
  server.registerTool("steps", { inputSchema: empty }, async (_, context) => {
    for (let i = 1; i <= 3; i++) {
      const token = context.mcpReq?._meta?.progressToken;
      if (token !== undefined)
        await context.mcpReq.notify({ method: "notifications/progress",
          params: { progressToken: token, progress: i, total: 3, message: `step ${i}` } });
      await new Promise((r) => setTimeout(r, 200));
    }
    return { content: [text("done")] };
  });
  server.registerTool("grow", { inputSchema: empty }, async () => {
    if (!hasMore) {
      hasMore = true;
      server.registerTool("more", { inputSchema: empty }, async () => ({ content: [text("more")] }));
    }
    return { content: [text("grown")] };
  });
  if (hasMore)
    server.registerTool("more", { inputSchema: empty }, async () => ({ content: [text("more")] }));
  return server;
}

async function serveHttp() {
  const handler = createMcpHandler(factory);
  const server = http.createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const controller = new AbortController();
    res.on("close", () => controller.abort());
    const answer = await handler.fetch(new Request(`http://${req.headers.host}${req.url}`, {
      method: req.method, headers: req.headers, signal: controller.signal,
      body: chunks.length ? Buffer.concat(chunks) : undefined,
    }));
    res.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) for await (const chunk of answer.body) res.write(chunk);
    res.end();
  });
  server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
}

if (process.argv[2] === "http") await serveHttp();
else serveStdio(factory);
