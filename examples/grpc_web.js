// Calls RPCs from a page by gRPC-Web, with `fetch` and nothing else. Messages are bytes: make and
// read them with the stubs of your choice (docs/clients.md, "From a browser").

const HEAD_BYTES = 5; // of a frame: its flags, and its length in four bytes
const TRAILERS = 0x80; // the flag of the last frame, which has the status

/** What a call failed with: `code` is the number of the gRPC status, `details` a google.rpc.Status. */
export class RpcError extends Error {
  constructor(code, message, details, requestId) {
    super(message);
    Object.assign(this, { code, details, requestId });
  }
}

/**
 * Calls a method and yields the bytes of each response message as it arrives, one or many.
 *
 * `headers` are the call's metadata, such as `authorization`; `signal` (of an AbortController)
 * cancels it, and so does leaving the loop. Throws RpcError for a call that failed in the gateway,
 * TypeError if there is no response or the page may not have it.
 */
export async function* call(server, method, message, { headers = {}, signal } = {}) {
  const body = new Uint8Array(HEAD_BYTES + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, HEAD_BYTES);
  const response = await fetch(`${server}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", ...headers },
    body,
    signal,
  });
  // A call that fails before its first message has its status here, and no frames.
  if (response.headers.has("grpc-status")) return judge(response.headers);
  if (!response.ok) throw new RpcError(14, `no gRPC-Web here: HTTP ${response.status}`);
  const reader = response.body.getReader();
  let rest = new Uint8Array();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new RpcError(14, "the connection has ended without a status");
      rest = joined(rest, value);
      while (rest.length >= HEAD_BYTES) {
        const end = HEAD_BYTES + new DataView(rest.buffer, rest.byteOffset).getUint32(1);
        if (rest.length < end) break;
        const frame = rest.subarray(HEAD_BYTES, end);
        if (rest[0] & TRAILERS) return judge(trailers(frame));
        yield frame.slice();
        rest = rest.subarray(end);
      }
    }
  } finally {
    await reader.cancel();
  }
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function trailers(frame) {
  const lines = new TextDecoder().decode(frame).split("\r\n").filter(Boolean);
  return new Headers(lines.map((it) => [it.slice(0, it.indexOf(":")), it.slice(it.indexOf(":") + 1)]));
}

function judge(headers) {
  const code = Number(headers.get("grpc-status"));
  if (code === 0) return;
  const message = decodeURIComponent(headers.get("grpc-message") ?? "");
  const packed = atob(headers.get("grpc-status-details-bin") ?? "");
  const details = Uint8Array.from(packed, (it) => it.charCodeAt(0));
  throw new RpcError(code, message, details, headers.get("x-request-id"));
}
