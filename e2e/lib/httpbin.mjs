// httpbin under gunicorn: a real upstream with a real Swagger document.

import { python } from './places.mjs';
import { freePort } from './ports.mjs';
import { Program, answers } from './processes.mjs';

/** Starts httpbin on loopback; `url` is where it answers. */
export async function startHttpbin() {
  const port = await freePort();
  const program = new Program(`httpbin-${port}`, python, [
    '-m', 'gunicorn', 'httpbin:app',
    '--bind', `127.0.0.1:${port}`,
    '--workers', '1', '--threads', '8', '--worker-class', 'gthread',
    // Longer than any client here leaves a connection idle: by default it closes after two seconds, which may meet the next request.
    '--keep-alive', '75',
    '--access-logfile', '-',
  ]);
  const url = `http://127.0.0.1:${port}`;
  await program.until('answer', async () => (await answers(`${url}/status/200`)) === 200);
  return {
    url,
    program,
    /** Requests that reached it, by its own access log, that contain the text. */
    seen: (text) => program.output.split('\n').filter((line) => line.includes(' HTTP/1.') && line.includes(text)).length,
    stop: () => program.stop(),
  };
}
