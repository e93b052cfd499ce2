/** `fairlead`: the proxy itself. */
import path from 'node:path';
import { dryRun } from '../config/dry-run.ts';
import { effectiveConfig } from '../config/effective.ts';
import {
  type LoadInput,
  type LoadResult,
  loadSettings,
  lookAtSource,
  looksCutOff,
} from '../config/load.ts';
import { jsonSchema } from '../config/schema.ts';
import type { FairleadContext } from '../control/context.ts';
import { startFairlead } from '../control/fairlead.ts';
import { handleSignals } from '../control/lifecycle.ts';
import { StopSignals } from '../control/stop-signals.ts';
import { complain, EXIT_FAILED, EXIT_USAGE } from './exit.ts';
import { CARE_SIGNALS, type HeldSignals, STOP_SIGNALS } from './held-signals.ts';
import { parseSettingFlags } from './settings-flags.ts';
import { watchTerminal } from './terminal.ts';
import { withUsageErrors } from './tool-flags.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

export function runProxy(args: readonly string[], held: HeldSignals): Promise<number> {
  return withUsageErrors('run', async () => {
    const { flags } = parseSettingFlags(args);
    const input: LoadInput = { flags, env: { ...process.env }, cwd: process.cwd() };
    const hasHungUp = watchTerminal();
    const stop = new StopSignals();
    held.handOn(STOP_SIGNALS);
    try {
      const loaded = loadSettings({ ...input, certificatesInUse: [] });
      if (!loaded.ok) {
        complain(loaded.problems);
        return EXIT_USAGE;
      }
      const running = await startFairlead(loaded.settings, contextOf(input, loaded), {
        notes: loaded.notes,
        faults: loaded.faults ?? [],
      });
      handleSignals(running, hasHungUp);
      held.handOn(CARE_SIGNALS);
      stop.govern(running);
      return await running.exited;
    } catch (error) {
      const { exitCode, message, stack } = error as Error & { readonly exitCode?: number };
      // Without an exit code nobody expected it: say all that is known.
      process.stderr.write(`fairlead: ${exitCode === undefined ? (stack ?? message) : message}\n`);
      return exitCode ?? EXIT_FAILED;
    } finally {
      stop.release();
    }
  });
}

/** How the control plane reaches the config that this command line, this environment and this file make. */
export function contextOf(input: LoadInput, loaded: Loaded): FairleadContext {
  let inForce = loaded;
  let lastSource = loaded.source;
  return {
    lookAtSource: () => {
      const { source, isReadable, text } = lookAtSource(input);
      if (source === lastSource) return 'same';
      if (!isReadable) return 'unreadable';
      return looksCutOff(text, inForce.text) ? 'cut off' : 'changed';
    },
    reload: (certificatesInUse) => {
      const result = loadSettings({ ...input, certificatesInUse });
      lastSource = result.source;
      return result;
    },
    taken: (taken) => {
      inForce = taken;
    },
    validate: (text, contentType, certificatesInUse) => {
      const { configFile } = inForce.settings;
      const name = nameOf(contentType, configFile);
      return dryRun(text, name, { ...input, configFile, certificatesInUse });
    },
    effectiveConfig: () => effectiveConfig(inForce),
    jsonSchema,
  };
}

/** What a posted text is called in messages; its ending tells JSON from YAML. */
function nameOf(contentType: string | undefined, configFile: string | undefined): string {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (/[/+]json$/.test(type)) return 'posted.json';
  if (/[/+-]ya?ml$/.test(type)) return 'posted.yaml';
  return `posted${configFile === undefined ? '.yaml' : path.extname(configFile)}`;
}
