#!/usr/bin/env node
/**
 * The command `fairlead`. Its first line that does anything holds the signals, so nothing may be imported here that takes
 * time to load: all that is, comes after it.
 */
import { HeldSignals } from './terminal/held-signals.ts';

const held = new HeldSignals();
const { runCommandLine } = await import('./command-line.ts');
await runCommandLine(process.argv.slice(2), held);
