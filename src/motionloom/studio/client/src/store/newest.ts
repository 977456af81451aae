// Questions that follow each other faster than they are answered: only the newest matters.

export interface NewestOptions<Question, Answer> {
  /** Milliseconds of quiet before a question is asked. */
  quiet: number;
  /** Milliseconds after which a question that could not be asked (`retryable`) is asked again. */
  again: number;
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
  asking(question: Question): void;
  answered(answer: Answer, question: Question): void;
  failed(error: unknown, question: Question): void;
  retryable(error: unknown): boolean;
}

export interface Newest<Question> {
  /** Takes the place of every earlier question; one that is under way is cancelled. */
  want(question: Question): void;
  /** Forgets what was wanted. */
  stop(): void;
}

export function newest<Question, Answer>(options: NewestOptions<Question, Answer>): Newest<Question> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: AbortController | undefined;

  function stop(): void {
    clearTimeout(timer);
    running?.abort();
    running = undefined;
  }

  async function go(question: Question): Promise<void> {
    const mine = new AbortController();
    running = mine;
    options.asking(question);
    try {
      const answer = await options.ask(question, mine.signal);
      if (running === mine) options.answered(answer, question);
    } catch (error) {
      if (running !== mine) return;
      options.failed(error, question);
      if (options.retryable(error)) timer = setTimeout(() => go(question), options.again);
    } finally {
      if (running === mine) running = undefined;
    }
  }

  return {
    want(question) {
      stop();
      timer = setTimeout(() => go(question), options.quiet);
    },
    stop,
  };
}
