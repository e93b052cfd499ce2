/** Reading a Dockerfile: its stages, and what a build would send of a clone. No Docker is needed for either. */
import { readFileSync } from 'node:fs';
import { DockerfileParser, type Instruction } from 'dockerfile-ast';

export interface Stage {
  /** Its name after `AS`, empty for the last one. */
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

export function stagesOf(text: string): Stage[] {
  const stages: { name: string; instructions: Instruction[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const [, as = '', name = ''] = wordsOf(instruction);
      stages.push({ name: as.toUpperCase() === 'AS' ? name : '', instructions: [] });
    }
    stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

export function wordsOf(instruction: Instruction): string[] {
  return instruction.getArguments().map((argument) => argument.getValue());
}

/** Of one kind, in their order: what stands after the keyword. */
export function linesOf(stage: Stage, keyword: string): string[] {
  return stage.instructions
    .filter((instruction) => instruction.getKeyword() === keyword)
    .map((instruction) => instruction.getArgumentsContent() ?? '');
}

/** In the form of JSON, as ENTRYPOINT and HEALTHCHECK have it. */
export function commandOf(line: string): string[] {
  return JSON.parse(line.slice(line.indexOf('['))) as string[];
}

/** Whether a path of the clone, relative and with `/`, stays at home. Patterns: names at the top, and those with an ending anywhere. */
export function ignoring(file: string): (path: string) => boolean {
  const patterns = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const endings = patterns.filter((line) => line.startsWith('**/')).map((line) => line.slice(3));
  const names = new Set(patterns.filter((line) => !line.startsWith('**/')));
  return (path) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (names.has(path.split('/')[0] ?? '')) return true;
    return endings.some((ending) =>
      ending.startsWith('*') ? name.endsWith(ending.slice(1)) : name === ending,
    );
  };
}
