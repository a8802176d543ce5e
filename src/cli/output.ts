/** Writing to standard output with back-pressure: memory stays bounded however slow the reader is. */
import { once } from 'node:events';

/** Resolves when more may be written. */
export async function writeOut(text: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

export function printLine(text: string): Promise<void> {
  return writeOut(`${text}\n`);
}

export function printJson(value: unknown): Promise<void> {
  return printLine(JSON.stringify(value));
}

/** A reader that has seen enough (`quorate export | head`) ends the program quietly. */
export function endWhenReaderIsGone(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}
