/** The config that is in force where it was loaded from flags, environment and file: how the control plane reaches it. */
import path from 'node:path';
import { dryRun } from '../../config/dry-run.ts';
import { effectiveConfig } from '../../config/effective/effective.ts';
import {
  type LoadInput,
  type LoadResult,
  loadSettings,
  lookAtSource,
  looksCutOff,
} from '../../config/load.ts';
import { jsonSchema } from '../../config/schema/schema.ts';
import { NOTHING_SHARED, type SharedConfig } from '../../config/shared-config.ts';
import type { FairleadContext } from '../context.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

/** How the control plane reaches the config that this command line, this environment and this file make. */
export function contextOf(given: LoadInput, loaded: Loaded): FairleadContext {
  let inForce = loaded;
  let shared: SharedConfig = NOTHING_SHARED;
  // What is given may become another object meanwhile.
  const withShared = (): LoadInput => ({ ...given, shared });
  let lastSource = loaded.source;
  return {
    lookAtSource: () => {
      const { source, isReadable, text } = lookAtSource(given);
      if (source === lastSource) return 'same';
      if (!isReadable) return 'unreadable';
      return looksCutOff(text, inForce.text) ? 'cut off' : 'changed';
    },
    reload: (certificatesInUse) => {
      const result = loadSettings({ ...withShared(), certificatesInUse });
      lastSource = result.source;
      return result;
    },
    look: (certificatesInUse) => loadSettings({ ...withShared(), certificatesInUse }),
    taken: (taken) => {
      inForce = taken;
    },
    validate: (text, contentType, certificatesInUse) => {
      const { configFile } = inForce.settings;
      const name = nameOf(contentType, configFile);
      return dryRun(text, name, { ...withShared(), configFile, certificatesInUse });
    },
    effectiveConfig: () => effectiveConfig(inForce),
    shared: {
      load: (wanted, certificatesInUse) => {
        const { withShared: again } = inForce;
        if (again === undefined) throw new Error('the config in force is of no cluster');
        return again(wanted, certificatesInUse);
      },
      taken: (wanted, taken) => {
        shared = wanted;
        inForce = taken;
      },
    },
    jsonSchema,
  };
}

/** What a posted text is called in messages; its ending tells JSON from YAML. */
function nameOf(contentType: string | undefined, configFile: string | undefined): string {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (/[/+]json$/.test(type)) return 'posted.json';
  if (/[/+-]ya?ml$/.test(type)) return 'posted.yaml';
  return configFile !== undefined && path.extname(configFile) === '.json'
    ? 'posted.json'
    : 'posted.yaml';
}
