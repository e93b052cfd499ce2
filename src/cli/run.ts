/** `fairlead`: the proxy itself. */
import { type LoadInput, loadSettings } from '../config/load.ts';
import { formatProblem, withoutExcerpts } from '../config/problem.ts';
import { NOTHING_SHARED } from '../config/shared-config.ts';
import { startFairlead } from '../control/fairlead.ts';
import { handleSignals } from '../control/lifecycle.ts';
import { InheritedSockets } from '../control/listeners/inherited-sockets.ts';
import { contextOf } from '../control/reload/loaded-config.ts';
import { StopSignals } from '../control/stop-signals.ts';
import { Predecessor } from '../control/upgrade/predecessor.ts';
import { type CommandSpec, EXIT_CODES, HELP_FLAG } from './command-spec.ts';
import { complain, EXIT_FAILED, EXIT_USAGE } from './exit.ts';
import { parseSettingFlags } from './settings-flags.ts';
import { CARE_SIGNALS, type HeldSignals, STOP_SIGNALS } from './terminal/held-signals.ts';
import { watchTerminal } from './terminal/terminal.ts';
import { withUsageErrors } from './tool-flags.ts';

export const RUN = {
  name: 'run',
  usage: '[URL…] [options]',
  about: 'The proxy, as without a command.',
  flags: HELP_FLAG,
  takesSettings: true,
  examples: ['fairlead http://:3001 http://:3002', 'fairlead --config fairlead.yaml --port 80'],
  exitCodes: EXIT_CODES,
} as const satisfies CommandSpec;

export function runProxy(args: readonly string[], held: HeldSignals): Promise<number> {
  return withUsageErrors('run', async () => {
    const predecessor = await Predecessor.find(process.env);
    const { flags } = parseSettingFlags(args);
    const input: LoadInput = {
      flags,
      env: { ...process.env },
      cwd: process.cwd(),
      shared: NOTHING_SHARED,
    };
    const hasHungUp = watchTerminal();
    const stop = new StopSignals();
    held.handOn(STOP_SIGNALS);
    try {
      const loaded = loadSettings({ ...input, certificatesInUse: [] });
      if (!loaded.ok) {
        // The old process tells its log, which viewers may read, and this one's standard error is that of the old one.
        const problems =
          predecessor === undefined ? loaded.problems : withoutExcerpts(loaded.problems);
        complain(problems);
        const said = problems.map(formatProblem).join('; ').replaceAll(/\s+/g, ' ');
        await predecessor?.failed(`its config has problems: ${said}`);
        return EXIT_USAGE;
      }
      const running = await startFairlead(loaded.settings, contextOf(input, loaded), {
        notes: loaded.notes,
        faults: loaded.faults ?? [],
        inherited:
          predecessor === undefined
            ? InheritedSockets.ofProcess(process.env, process.pid)
            : InheritedSockets.handedOn(predecessor.sockets.inherited),
        predecessor,
        canBeUpgraded: true,
        serviceEnv: process.env,
      });
      handleSignals(running, hasHungUp);
      held.handOn(CARE_SIGNALS);
      stop.govern(running);
      running.serviceIsReady();
      await predecessor?.ready();
      return await running.exited;
    } catch (error) {
      const { exitCode, message, stack } = error as Error & { readonly exitCode?: number };
      // Without an exit code nobody expected it: say all that is known.
      await predecessor?.failed(message);
      process.stderr.write(`fairlead: ${exitCode === undefined ? (stack ?? message) : message}\n`);
      return exitCode ?? EXIT_FAILED;
    } finally {
      stop.release();
    }
  });
}
