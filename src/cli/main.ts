import { endWhenReaderIsGone } from './output.js';
import { runProgram } from './program.js';

// What grpc-js has to say comes as errors of ours too. It reads this when a command loads it.
if (process.env.GRPC_VERBOSITY === undefined) process.env.GRPC_NODE_VERBOSITY ??= 'NONE';
endWhenReaderIsGone();
process.exitCode = await runProgram(process.argv.slice(2));
