/** What was opened, to be closed in reverse order: at the end, or when the rest cannot be opened. */
export class CleanupStack {
  readonly #closers: (() => unknown)[] = [];

  /** @param close called once, after what is added later has been closed */
  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** Close everything. @throws the first error, after everything has been tried */
  async run(): Promise<void> {
    const errors: unknown[] = [];
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
