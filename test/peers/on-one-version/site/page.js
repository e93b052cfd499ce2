/** What the page of the site does in the browser. chromium.test.ts calls it. */

async function digestOf(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function load(index) {
  const answer = await fetch(`/site/resource?index=${index}`, { cache: 'no-store' });
  return `${answer.status} ${await digestOf(await answer.arrayBuffer())}`;
}

function protocolsOf(type) {
  return [...new Set(performance.getEntriesByType(type).map((entry) => entry.nextHopProtocol))];
}

globalThis.site = {
  /** By what it was loaded itself, and what it has asked for. */
  protocols: () => protocolsOf('navigation').concat(protocolsOf('resource')),

  /** All of them at once: status and digest of each. */
  loadAll: (count) => Promise.all(Array.from({ length: count }, (_, index) => load(index))),

  upload: async (length) => {
    document.cookie = 'a=1';
    document.cookie = 'b=2';
    const body = new Uint8Array(length).fill(7);
    return (await fetch('/site/upload', { method: 'POST', body })).text();
  },

  /** Says something short, something of this length, and goodbye: what has come back, and the code of the end. */
  talk: (address, length) =>
    new Promise((resolve) => {
      const socket = new WebSocket(address);
      const got = [];
      socket.binaryType = 'arraybuffer';
      socket.addEventListener('open', () => {
        socket.send('hello');
        socket.send(new Uint8Array(length).fill(9));
        socket.send('bye');
      });
      socket.addEventListener('message', ({ data }) => {
        if (typeof data === 'string') got.push(data);
        else got.push(`${data.byteLength} ${new Uint8Array(data).every((byte) => byte === 9)}`);
        if (data === 'bye') socket.close(1000);
      });
      socket.addEventListener('close', ({ code }) => resolve(`${got} ${code}`));
    }),
};
