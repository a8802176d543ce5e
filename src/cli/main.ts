#!/usr/bin/env node
import { endWhenReaderIsGone } from './output.js';
import { runProgram } from './program.js';

endWhenReaderIsGone();
process.exitCode = await runProgram(process.argv.slice(2));
