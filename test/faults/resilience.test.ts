/** The experiments of `npm run bench -- resilience`, at a size for every day: figures that are counted, none that are timed. */
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';

interface Figure {
  readonly what: string;
  readonly is: number;
  readonly must: string;
  readonly isReached: boolean;
}

interface Place {
  clear(): void;
}

interface Experiment {
  readonly title: string;
  readonly short: object;
  run(place: Place, size: object): Promise<Figure[]>;
}

// Plain modules without declarations: named at run time, so that the compiler does not look for any.
const bench = async (name: string) =>
  import(new URL(`../../bench/resilience/${name}.mjs`, import.meta.url).href);
const { EXPERIMENTS } = (await bench('all')) as { EXPERIMENTS: readonly Experiment[] };
const { Place } = (await bench('place')) as { Place: new () => Place };

test.each(EXPERIMENTS.map((experiment) => [experiment.title, experiment] as const))(
  '%s',
  async (_title, { run, short }) => {
    const place = new Place();
    afterTest(() => place.clear());
    const figures = await run(place, short);
    expect(figures.filter(({ must }) => must !== '')).not.toEqual([]);
    expect(figures.filter(({ isReached }) => !isReached)).toEqual([]);
  },
);
