/** The config that is in force where it was loaded from flags, environment and file: how the control plane reaches it. */
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
import type { FairleadContext } from './context.ts';

type Loaded = Extract<LoadResult, { ok: true }>;

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
    look: (certificatesInUse) => loadSettings({ ...input, certificatesInUse }),
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
  return configFile !== undefined && path.extname(configFile) === '.json'
    ? 'posted.json'
    : 'posted.yaml';
}
