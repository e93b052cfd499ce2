/** Deadlines on a clock that the test moves. */
import { Deadline, type Waiting } from '../../src/data/deadlines.ts';

export class FakeDeadlines {
  ms = 1000;
  #set: Deadline[] = [];

  now(): number {
    return this.ms;
  }

  set(dueMs: number, waiting: Waiting): Deadline {
    const deadline = new Deadline(dueMs, waiting);
    this.#set.push(deadline);
    return deadline;
  }

  callOff(deadline: Deadline): void {
    deadline.waiting = null;
  }

  advanceTo(ms: number): void {
    for (;;) {
      const due = this.#set.filter(({ dueMs, waiting }) => waiting !== null && dueMs <= ms);
      const [first] = due.toSorted((one, other) => one.dueMs - other.dueMs);
      if (first === undefined) break;
      this.ms = Math.max(this.ms, first.dueMs);
      this.#set = this.#set.filter((one) => one !== first);
      first.waiting?.onDue();
    }
    this.ms = ms;
  }
}
