/** Entry of the scanning worker: walks the folder and posts what it finds, in chunks. */
import { parentPort, workerData } from 'node:worker_threads';
import { lowerPriority } from '../support/background.js';
import { pack, walk, type ScanRequest } from './walk.js';

const port = parentPort;
if (port === null) throw new Error('runs as a worker only');
lowerPriority();
for (const chunk of walk(workerData as ScanRequest)) port.postMessage(pack(chunk));
// Without this word it was cut short.
port.postMessage('end');
