// Bytes on a socket, for requests that no HTTP client would send.

import { connect } from 'node:net';

/** Sends the bytes and gives everything that comes back until the other side closes or nothing comes for a while. */
export function exchange(origin, bytes, { quiet = 3_000 } = {}) {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(bytes));
    const finish = (closed) => {
      socket.destroy();
      resolve({ text, closed, status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]) || null });
    };
    socket.setEncoding('latin1');
    socket.setTimeout(quiet, () => finish(false));
    socket.on('data', (data) => (text += data));
    socket.on('end', () => finish(true));
    socket.on('error', (error) => (error.code === 'ECONNRESET' || error.code === 'EPIPE' ? finish(true) : reject(error)));
  });
}

/** Sends a head, then body bytes without end until the other side stops it; gives what it answered. */
export function pour(origin, head, { chunk = Buffer.alloc(64 * 1024, 'x'), limit = 1 << 30 } = {}) {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    let text = '';
    let sent = 0;
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(head);
      more();
    });
    const framed = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);
    const more = () => {
      while (sent < limit && !socket.destroyed) {
        sent += chunk.length;
        if (!socket.write(framed)) return socket.once('drain', more);
      }
      return undefined;
    };
    const finish = () => {
      socket.destroy();
      resolve({ text, sent, status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]) || null });
    };
    socket.setEncoding('latin1');
    socket.setTimeout(30_000, () => reject(new Error(`still open after ${sent} bytes`)));
    socket.on('data', (data) => (text += data));
    socket.on('end', finish);
    socket.on('close', finish);
    socket.on('error', () => finish());
  });
}
