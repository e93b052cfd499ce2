/**
 * Lets the browser draw in between: what a look costs is done in pieces (reading, working out, drawing), each shorter than the frames
 * that people see. Not by a timer, which a browser makes wait for a second where the tab is hidden.
 */
const { port1, port2 } = new MessageChannel();
const waiting: (() => void)[] = [];
port1.addEventListener('message', () => waiting.shift()?.());
port1.start();

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  });
}
