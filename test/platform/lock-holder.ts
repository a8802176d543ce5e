/** Takes the lock of the directory that it is given, says so, and holds it until it is killed. */
import { lockDirectory } from '../../src/platform/directory-lock.js';

const [, , directory] = process.argv;
await lockDirectory(directory);
process.stdout.write('locked\n');
setInterval(() => undefined, 60_000);
