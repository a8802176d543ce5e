#!/usr/bin/env node
/** `npm run jepsen`: checks what clients saw. See README.md. */
import process from 'node:process';
import { runProgram } from './program.js';

process.exitCode = await runProgram(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
