/** The answers of a child process, by question. */
export type Answers = Readonly<Record<string, (argument: any) => unknown>>;

export interface Question { readonly id: number; readonly ask: string; readonly argument: unknown }
export interface Reply { readonly id: number; readonly value?: unknown; readonly error?: string }

/** In a child process: answers the questions of its parent, and ends with the parent. */
export function answer(answers: Answers): void {
  process.on('message', ({ id, ask, argument }: Question) => {
    void (async () => answers[ask]!(argument))().then(
      (value) => process.send!({ id, value } satisfies Reply),
      (error: unknown) => {
        const text = error instanceof Error ? error.stack ?? error.message : String(error);
        process.send!({ id, error: text } satisfies Reply);
      },
    );
  });
  process.on('disconnect', () => process.exit());
}
