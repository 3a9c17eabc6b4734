/** What a child can be asked, by name. */
export type Answers = Readonly<Record<string, (argument: any) => unknown>>;

export interface Question { readonly id: number; readonly ask: string; readonly argument: unknown }
export interface Reply { readonly id: number; readonly value?: unknown; readonly error?: string }

/** In a child process: answers its parent's questions, and ends when the parent does. */
export function answer(answers: Answers): void {
  process.on('message', ({ id, ask, argument }: Question) => {
    void (async () => answers[ask]!(argument))().then(
      (value) => process.send!({ id, value } satisfies Reply),
      (error: unknown) => process.send!({ id, error: error instanceof Error ? error.stack ?? error.message : String(error) } satisfies Reply),
    );
  });
  process.on('disconnect', () => process.exit());
}
