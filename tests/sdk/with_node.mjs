// The checks of Node's HTTP/2 client (node:http2, built on nghttp2) and of its fetch (undici).
//
//     node with_node.mjs NAME '{"ways": [[name, address], …], "mock": …, "ca": …}'
//
// Started by with_node.py, which says in words what each must hold. Prints a detail, or throws; needs no package.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import crypto from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import fs from 'node:fs';
import http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

const world = JSON.parse(process.argv[3]);
const ca = fs.readFileSync(world.ca);
const CHAT = { model: 'gpt-mock', messages: [{ role: 'user', content: 'one two three' }] };
const TEXT = 'This answer was made up by a mock; it is the same';
const CHAT_PATH = '/v1/chat/completions';
const BODY_BYTES = 8 << 20;

// A session with the gateway, given to `use`, then closed.
async function withSession(base, use) {
  const session = http2.connect(base, { ca, servername: 'gateway.test' });
  session.on('error', () => {}); // the streams tell, and `closed` below
  await once(session, 'connect');
  // All streams of a session share this window: what one of them does not read shall not take all of it.
  session.setLocalWindowSize(16 << 20);
  assert.equal(session.alpnProtocol, base.startsWith('https:') ? 'h2' : 'h2c');
  try {
    // The path that the address has belongs to each request.
    await use(session, new URL(base).pathname.replace(/\/$/, ''));
    assert.equal(session.closed, false, 'the session lives to its end');
    session.close();
    await once(session, 'close');
  } finally {
    session.destroy();
  }
}

let way = ''; // which one is being checked

async function everyWay(use) {
  const details = [];
  for (const [name, base] of world.ways) {
    way = `${name}: `;
    await withSession(base, async (session, prefix) => {
      const detail = await use(session, prefix);
      if (detail) details.push(`${name} ${detail}`);
    });
  }
  return details.join(', ');
}

// A request with a body or none; the stream, with its response as `headers`.
async function ask(session, path, { method = 'POST', body, fields = {}, options = {} } = {}) {
  const head = { ':method': method, ':path': path, ...fields };
  if (body !== undefined) head['content-type'] = 'application/json';
  const stream = session.request(head, options);
  // An upload that is refused or cut is told by the response or by its absence.
  if (body !== undefined) stream.end(body);
  const [headers] = await once(stream, 'response');
  stream.headers = headers;
  return stream;
}

async function whole(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function chat(session, prefix, fields = {}, body = CHAT) {
  const stream = await ask(session, prefix + CHAT_PATH, { body: JSON.stringify(body), fields });
  const text = await whole(stream);
  assert.equal(stream.headers[':status'], 200, text);
  return JSON.parse(text);
}

const asStream = { body: JSON.stringify({ ...CHAT, stream: true }) };

// Tokens of the events in a text; `[DONE]` is looked for where the stream shall be whole.
function tokens(text) {
  const events = text.split('\n\n').filter((one) => one.startsWith('data: {'));
  return events.map((one) => JSON.parse(one.slice(6)).choices[0].delta.content ?? '').filter((one) => one !== '');
}

function tokensOfWhole(text) {
  assert.ok(text.endsWith('data: [DONE]\n\n'), `the stream is whole: ${text.slice(-100)}`);
  return tokens(text);
}

async function stats() {
  return (await fetch(`${world.mock}/__stats`)).json();
}

async function until(what, condition) {
  const end = Date.now() + 1000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within 1 s: ${what}`);
    await sleep(5);
  }
}

// A chat request of 8 MiB, and the tokens that the mock counts in it.
function large() {
  const words = BODY_BYTES / 8;
  const messages = [{ role: 'user', content: 'sixteen '.repeat(words) }];
  return [JSON.stringify({ ...CHAT, messages }), words];
}

async function requests() {
  const models = await (await fetch(`${world.mock}/v1/models`)).text();
  return everyWay(async (session, prefix) => {
    for (let round = 0; round < 2; round++) {
      const got = await ask(session, `${prefix}/v1/models`, { method: 'GET' });
      assert.equal(await whole(got), models);
      assert.equal(got.headers[':status'], 200);
      assert.equal(got.headers['content-length'], String(Buffer.byteLength(models)));
      for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection']) {
        assert.equal(got.headers[name], undefined, `no ${name} in HTTP/2`);
      }
      const head = await ask(session, `${prefix}/v1/models`, { method: 'HEAD' });
      assert.equal(await whole(head), '');
      assert.equal(head.headers['content-length'], got.headers['content-length']);
      assert.equal((await chat(session, prefix)).choices[0].message.content, TEXT);
      const missing = await ask(session, `${prefix}/v1/nothing`, { method: 'GET' });
      assert.equal(JSON.parse(await whole(missing)).error.code, 'not_found');
      assert.equal(missing.headers[':status'], 404);
      const echoed = await new Promise((resolve, reject) => {
        session.ping(Buffer.from('12345678'), (error, took, payload) => (error ? reject(error) : resolve(payload)));
      });
      assert.equal(echoed.toString(), '12345678');
    }
  });
}

async function stream() {
  return everyWay(async (session, prefix) => {
    const fields = { 'x-mock-tokens': '6', 'x-mock-chunk-delay': '50ms' };
    const got = await ask(session, prefix + CHAT_PATH, { ...asStream, fields });
    assert.equal(got.headers['content-type'], 'text/event-stream');
    let text = '';
    const times = [];
    for await (const part of got) {
      text += part;
      while (times.length < tokens(text).length) times.push(performance.now());
    }
    assert.equal(tokensOfWhole(text).length, 6);
    const gaps = times.slice(1).map((time, i) => Math.round(time - times[i]));
    assert.ok(Math.min(...gaps) > 25, `gaps of ${gaps} ms`);
  });
}

async function parallel() {
  return everyWay(async (session, prefix) => {
    const begun = performance.now();
    const fields = { 'x-mock-chunk-delay': '20ms' };
    const one = async () => whole(await ask(session, prefix + CHAT_PATH, { ...asStream, fields }));
    const texts = await Promise.all(Array.from({ length: 50 }, one));
    for (const text of texts) assert.equal(tokensOfWhole(text).join(''), TEXT);
    const took = performance.now() - begun;
    assert.ok(took < 3000, `${took} ms; one after the other they take 12 s`);
    return `${Math.round(took)} ms`;
  });
}

async function upload() {
  const [body, words] = large();
  return everyWay(async (session, prefix) => {
    for (const fields of [{ 'content-length': Buffer.byteLength(body) }, {}]) {
      const got = await ask(session, prefix + CHAT_PATH, { body, fields });
      const text = await whole(got);
      assert.equal(got.headers[':status'], 200, text);
      assert.equal(JSON.parse(text).usage.prompt_tokens, words);
      const sent = Object.fromEntries((await stats()).last_request.headers);
      const wanted = fields['content-length'] ? [String(body.length), undefined] : [undefined, 'chunked'];
      assert.deepEqual([sent['content-length'], sent['transfer-encoding']], wanted, 'framing at the origin');
    }
  });
}

async function trailers() {
  return withSession(world.tls, async (session) => {
    const head = { ':method': 'POST', ':path': '/trailers', te: 'trailers', trailer: 'x-sent' };
    const got = session.request(head, { waitForTrailers: true });
    got.on('wantTrailers', () => got.sendTrailers({ 'x-sent': 'from the client' }));
    const received = once(got, 'trailers');
    got.end('0123456789');
    assert.equal(await whole(got), 'before the trailers');
    const [fields] = await received;
    assert.deepEqual([fields['x-bytes'], fields['x-sent'], fields['x-te']], ['10', 'from the client', 'trailers']);
  });
}

async function left() {
  const fields = { 'x-mock-tokens': '10000', 'x-mock-chunk-delay': '10ms' };
  return everyWay(async (session, prefix) => {
    const before = (await stats()).streams.aborted_by_client;
    const got = await ask(session, prefix + CHAT_PATH, { ...asStream, fields });
    await once(got, 'data');
    got.close(http2.constants.NGHTTP2_CANCEL);
    const gone = performance.now();
    await until("the origin's stream ends", async () => (await stats()).streams.aborted_by_client === before + 1);
    const took = performance.now() - gone;
    assert.equal((await chat(session, prefix)).choices[0].message.content, TEXT);
    return `${Math.round(took)} ms`;
  });
}

async function cut() {
  return everyWay(async (session, prefix) => {
    const got = await ask(session, prefix + CHAT_PATH, { ...asStream, fields: { 'x-mock-abort-after': '3' } });
    let text = '';
    await assert.rejects(async () => {
      for await (const part of got) text += part;
    }, { code: 'ERR_HTTP2_STREAM_ERROR' });
    assert.equal(text.split('data: ').length - 1, 3, 'events before the cut');
    assert.equal((await chat(session, prefix)).choices[0].message.content, TEXT);
  });
}

async function paused() {
  const fields = { 'x-mock-tokens': '20000', 'x-mock-chunk-delay': '0ms' };
  return everyWay(async (session, prefix) => {
    const unread = await ask(session, prefix + CHAT_PATH, { ...asStream, fields });
    await sleep(100); // for its window to be filled; nothing waits for this
    for (let round = 0; round < 10; round++) {
      assert.equal((await chat(session, prefix)).choices[0].message.content, TEXT);
    }
    assert.equal(tokensOfWhole(await whole(unread)).length, 20000);
  });
}

// A frame of a client (RFC 6455 §5.2), masked.
function frame(opcode, payload) {
  const size = payload.length;
  const head = size < 126 ? Buffer.from([0x80 | opcode, 0x80 | size]) : Buffer.alloc(size < 65536 ? 4 : 10);
  if (size >= 126) {
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (size < 65536 ? 126 : 127);
    if (size < 65536) head.writeUInt16BE(size, 2);
    else head.writeBigUInt64BE(BigInt(size), 2);
  }
  const mask = crypto.randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
}

// The frames of a server as they come: [opcode, payload]. None of those here is in fragments.
async function* frames(stream) {
  let bytes = Buffer.alloc(0);
  for await (const part of stream) {
    bytes = Buffer.concat([bytes, part]);
    while (bytes.length >= 2) {
      const short = bytes[1] & 0x7f;
      const start = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (bytes.length < start) break;
      const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      if (bytes.length < start + size) break;
      yield [bytes[0] & 0x0f, bytes.subarray(start, start + size)];
      bytes = bytes.subarray(start + size);
    }
  }
}

async function websocket() {
  for (const base of [world.plain, world.tls]) {
    await withSession(base, async (session) => {
      if (!session.remoteSettings.enableConnectProtocol) await once(session, 'remoteSettings');
      assert.ok(session.remoteSettings.enableConnectProtocol, 'SETTINGS_ENABLE_CONNECT_PROTOCOL');
      const head = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/echo',
        'sec-websocket-version': '13', 'sec-websocket-protocol': 'echo.v1' };
      const stream = session.request(head, { endStream: false });
      const [answer] = await once(stream, 'response');
      assert.deepEqual([answer[':status'], answer['sec-websocket-protocol']], [200, 'echo.v1']);
      const received = frames(stream);
      const next = async () => (await received.next()).value;
      for (const message of ['hello', 'ü'.repeat(1000)]) {
        stream.write(frame(1, Buffer.from(message)));
        const [opcode, payload] = await next();
        assert.deepEqual([opcode, payload.toString()], [1, message]);
      }
      const bytes = crypto.randomBytes(1 << 20);
      stream.write(frame(2, bytes));
      assert.equal((await chat(session, '')).choices[0].message.content, TEXT);
      const [opcode, payload] = await next();
      assert.ok(opcode === 2 && payload.equals(bytes), '1 MiB of bytes');
      stream.write(frame(9, Buffer.from('are you there')));
      const [pong, told] = await next();
      assert.deepEqual([pong, told.toString()], [10, 'are you there']);
      stream.write(frame(1, Buffer.from('bye')));
      const [close, reason] = await next();
      assert.deepEqual([close, reason.readUInt16BE(0), reason.subarray(2).toString()], [8, 4001, 'as you wish']);
      stream.end(frame(8, reason));
      assert.equal((await received.next()).done, true, 'the stream ends');
    });
  }
}

async function fetched() {
  await (await fetch(`${world.mock}/v1/models`)).text(); // makes the dispatcher, whose class has no other door
  const Agent = globalThis[Symbol.for('undici.globalDispatcher.1')].constructor;
  const dispatcher = new Agent({ allowH2: true });
  const protocols = new Set();
  diagnostics.subscribe('undici:client:connected', ({ socket }) => protocols.add(socket.alpnProtocol));
  const headers = { 'content-type': 'application/json' };
  const post = (body) =>
    fetch(world.tls + CHAT_PATH, { method: 'POST', body: JSON.stringify(body), dispatcher, headers });
  const answer = await post(CHAT);
  if (!protocols.has('h2')) return `not made: fetch of Node ${process.versions.node} has no allowH2`;
  assert.equal((await answer.json()).choices[0].message.content, TEXT);
  const streams = Array.from({ length: 50 }, async () => (await post({ ...CHAT, stream: true })).text());
  for (const text of await Promise.all(streams)) assert.equal(tokensOfWhole(text).join(''), TEXT);
  const [body, words] = large();
  assert.equal((await (await post(JSON.parse(body))).json()).usage.prompt_tokens, words);
  assert.deepEqual([...protocols], ['h2']);
  await dispatcher.close();
  return `undici ${process.versions.undici}`;
}

const CHECKS = { requests, stream, parallel, upload, trailers, left, cut, paused, websocket, fetched };

function failed(error) {
  console.error(`${way}${error.stack}`);
  process.exit(1);
}

process.on('uncaughtException', failed);
setTimeout(() => failed(new Error('not done after 20 s')), 20000);
try {
  const detail = await CHECKS[process.argv[2]]();
  if (detail) console.log(detail);
} catch (error) {
  failed(error);
}
process.exit(0); // what fetch keeps open would hold the process for seconds
