/**
 * One holder at a time, in all processes and containers that see the lock's file. A lock ends with its
 * process, however that ends.
 *
 * It is flock(2), by way of koffi: the kernel keeps the lock with the open file, so nothing can be left
 * behind, it holds across network and process namespaces, and only those who may open the file can take
 * it. (Node has no lock. A socket in Linux's abstract namespace can be held by any user, and another
 * container does not see it.) Where koffi or flock(2) is missing, a file beside it names the process.
 */
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { systemCode, type PeerError } from '../errors.js';

export interface Lock {
  /** May be called more than once. */
  release(): void;
}

/** Try to lock an open file. @returns undefined when its file system has no locks */
type Flock = (fd: number) => boolean | undefined;

/** LOCK_EX | LOCK_NB: the same on Linux, macOS and the BSDs. */
const EXCLUSIVE_AT_ONCE = 2 | 4;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/**
 * @param file stands for what is locked. It is made, and stays; its folder exists
 * @param taken makes the error for when another process has the lock
 * @param locks flock(2) if there is one
 * @throws the system's error when the file cannot be opened
 */
export async function lockFile(
  file: string,
  taken: () => PeerError,
  locks = loadFlock().catch(() => undefined),
): Promise<Lock> {
  const flock = await locks;
  if (flock === undefined) return lockByProcess(`${file}.pid`, taken);
  const fd = openSync(file, FLAGS, 0o600);
  const mine = flock(fd);
  if (mine === true) {
    let held = true;
    return {
      release: () => {
        if (held) closeSync(fd);
        held = false;
      },
    };
  }
  closeSync(fd);
  if (mine === false) throw taken();
  return lockByProcess(`${file}.pid`, taken);
}

async function loadFlock(): Promise<Flock> {
  const { default: koffi } = await import('koffi');
  const flock = koffi.load(null).func('int flock(int fd, int operation)') as unknown as (
    fd: number,
    operation: number,
  ) => number;
  return (fd) => {
    if (flock(fd, EXCLUSIVE_AT_ONCE) === 0) return true;
    return koffi.errno() === koffi.os.errno['EWOULDBLOCK'] ? false : undefined;
  };
}

function lockByProcess(file: string, taken: () => PeerError): Lock {
  const own = processName(process.pid);
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, own, { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || attempt > 0) throw error;
      if (mayRun(readFileSync(file, 'utf8'))) throw taken();
      rmSync(file, { force: true });
    }
  }
  let held = true;
  return {
    release: () => {
      if (held) rmSync(file, { force: true });
      held = false;
    },
  };
}

/** A process, told from later ones with its id: id, and on Linux time of start, boot and namespace. */
function processName(pid: number): string {
  if (process.platform !== 'linux') return String(pid);
  // Fields from the third on follow the command's name in parentheses (proc_pid_stat(5)); the 22nd is
  // the time of start.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return [pid, fields[19], boot, readlinkSync('/proc/self/ns/pid')].join(' ');
}

/** Whether a process still runs, or may do so where this one cannot see it: in another container. */
function mayRun(name: string): boolean {
  const [pid = '', , boot, namespace] = name.split(' ');
  const [, , ownBoot, ownNamespace] = processName(process.pid).split(' ');
  if (boot !== ownBoot) return false;
  if (namespace !== ownNamespace) return true;
  try {
    process.kill(Number(pid), 0);
    return processName(Number(pid)) === name;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
