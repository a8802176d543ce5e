/**
 * The cluster of docker-compose.yml, as `docker compose up --build` starts it, on ports that are free and under a
 * project name of its own. The Docker engine's API does to its containers what befalls containers in production.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { connect, type Client } from 'quorate';
import {
  DockerComposeEnvironment,
  getContainerRuntimeClient,
  Wait,
  type ContainerRuntimeClient,
  type StartedDockerComposeEnvironment,
} from 'testcontainers';
import { freePorts } from '../../src/platform/free-ports.js';

const projectFolder = fileURLToPath(new URL('../..', import.meta.url));
/** From the container's start to its first successful healthcheck. */
const healthyMsMax = 60_000;

type Container = ReturnType<ContainerRuntimeClient['container']['getById']>;
type ContainerState = Awaited<ReturnType<Container['inspect']>>['State'];

/** One service of docker-compose.yml. Every method looks its container up: `down` and `up` make new ones. */
export class ComposeNode {
  readonly id: number;
  /** Its client port as published on this machine. */
  readonly endpoint: string;
  readonly #docker: ContainerRuntimeClient;
  readonly #project: string;

  constructor(options: { id: number; port: number; docker: ContainerRuntimeClient; project: string }) {
    this.id = options.id;
    this.endpoint = `127.0.0.1:${options.port}`;
    this.#docker = options.docker;
    this.#project = options.project;
  }

  get #service(): string {
    return `n${this.id}`;
  }

  async #container(): Promise<Container> {
    const label = [`com.docker.compose.project=${this.#project}`, `com.docker.compose.service=${this.#service}`];
    const containers = await this.#docker.container.dockerode.listContainers({ all: true, filters: { label } });
    if (containers.length !== 1) throw new Error(`${containers.length} containers of ${this.#service}`);
    return this.#docker.container.getById(containers[0].Id);
  }

  async state(): Promise<ContainerState> {
    return (await (await this.#container()).inspect()).State;
  }

  async start(): Promise<void> {
    await (await this.#container()).start();
  }

  /** SIGKILL to its process. Resolves when that has ended. */
  async kill(): Promise<void> {
    const container = await this.#container();
    const ended = container.wait({ condition: 'not-running' });
    await container.kill({ signal: 'SIGKILL' });
    await ended;
  }

  /** `docker stop`: SIGTERM, and SIGKILL after the container's grace period. Resolves when it has ended. */
  async stop(): Promise<void> {
    await (await this.#container()).stop();
  }

  /** Takes it off the network that the nodes share, its published port included; its process goes on. */
  async disconnect(): Promise<void> {
    const [container, network] = await Promise.all([this.#container(), this.#network()]);
    await network.disconnect({ Container: container.id });
  }

  /** Undoes {@link disconnect}; the address may be another one. */
  async reconnect(): Promise<void> {
    const [container, network] = await Promise.all([this.#container(), this.#network()]);
    await network.connect({ Container: container.id, EndpointConfig: { Aliases: [this.#service] } });
  }

  /** `quorate …` inside the container, where the node answers at 127.0.0.1:7001 also when it has no network. */
  async quorate(...args: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const command = ['quorate', '--endpoints', '127.0.0.1:7001', ...args];
    return await this.#docker.container.exec(await this.#container(), command);
  }

  /** The effective user of its process. */
  async user(): Promise<string> {
    const { stdout } = await this.#docker.container.exec(await this.#container(), ['id', '-un']);
    return stdout.trim();
  }

  /** The end of what it has logged. */
  async lastWords(): Promise<string> {
    const log = await (await this.#container()).logs({ stdout: true, stderr: true, tail: 20 });
    return `${this.#service}:\n${logText(log)}`;
  }

  async #network(): Promise<ReturnType<ContainerRuntimeClient['container']['dockerode']['getNetwork']>> {
    const { dockerode } = this.#docker.container;
    const label = [`com.docker.compose.project=${this.#project}`];
    const networks = await dockerode.listNetworks({ filters: { label } });
    if (networks.length !== 1) throw new Error(`${networks.length} networks of ${this.#project}`);
    return dockerode.getNetwork(networks[0].Id);
  }
}

export class ComposeCluster implements AsyncDisposable {
  readonly nodes: readonly ComposeNode[];
  readonly #docker: ContainerRuntimeClient;
  readonly #project: string;
  readonly #compose: DockerComposeEnvironment;
  #running: StartedDockerComposeEnvironment | undefined;

  private constructor(docker: ContainerRuntimeClient, ports: readonly number[]) {
    const project = `quorate-test-${randomBytes(4).toString('hex')}`;
    this.#docker = docker;
    this.#project = project;
    this.nodes = ports.map((port, i) => new ComposeNode({ id: i + 1, port, docker, project }));
    this.#compose = new DockerComposeEnvironment(projectFolder, 'docker-compose.yml')
      .withProjectName(project)
      .withClientOptions(composeCommand())
      .withEnvironment(Object.fromEntries(ports.map((port, i) => [`N${i + 1}_PORT`, String(port)])))
      .withBuild()
      .withDefaultWaitStrategy(Wait.forHealthCheck())
      .withStartupTimeout(healthyMsMax);
  }

  /** Starts nothing yet. */
  static async create(): Promise<ComposeCluster> {
    const [docker, ports] = await Promise.all([getContainerRuntimeClient(), freePorts(3)]);
    return new ComposeCluster(docker, ports);
  }

  get endpoints(): readonly string[] {
    return this.nodes.map((node) => node.endpoint);
  }

  /** The node with this id, from 1. */
  node(id: number): ComposeNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  connect(...nodes: readonly ComposeNode[]): Promise<Client> {
    return connect({ endpoints: nodes.map((node) => node.endpoint) });
  }

  /** Builds the image where its inputs changed, and resolves when all containers are healthy. */
  async up(): Promise<void> {
    this.#running = await this.#compose.up();
  }

  /** Removes containers and network. The data stays, in the volumes. */
  async down(): Promise<void> {
    await this.#running?.down({ removeVolumes: false });
    this.#running = undefined;
  }

  async lastWords(): Promise<string> {
    return (await Promise.all(this.nodes.map((node) => node.lastWords()))).join('\n');
  }

  /** Ids of what is there of this cluster, each with the way to remove it; in the order in which that works. */
  async #possessions(): Promise<{ readonly id: string; readonly remove: () => Promise<unknown> }[]> {
    const { dockerode } = this.#docker.container;
    const filters = { label: [`com.docker.compose.project=${this.#project}`] };
    const [containers, networks, { Volumes: volumes }] = await Promise.all([
      dockerode.listContainers({ all: true, filters }),
      dockerode.listNetworks({ filters }),
      dockerode.listVolumes({ filters }),
    ]);
    return [
      ...containers.map(({ Id: id }) => ({
        id: `container ${id}`,
        remove: () => dockerode.getContainer(id).remove({ force: true, v: true }),
      })),
      ...networks.map(({ Id: id }) => ({ id: `network ${id}`, remove: () => dockerode.getNetwork(id).remove() })),
      ...volumes.map(({ Name: id }) => ({ id: `volume ${id}`, remove: () => dockerode.getVolume(id).remove() })),
    ];
  }

  /** Ids of its containers, networks and volumes. */
  async possessions(): Promise<string[]> {
    return (await this.#possessions()).map(({ id }) => id);
  }

  /** Removes them all. The image stays: the next build takes what did not change from it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { remove } of await this.#possessions()) await remove();
  }
}

/** Compose comes as a plugin of the `docker` command or, in its first version, as a command of its own. */
function composeCommand(): { executable?: { standalone: true } } {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'ignore' });
    return {};
  } catch {
    return { executable: { standalone: true } };
  }
}

/** Without the engine's framing: eight bytes before each piece, the last four of them its length. */
function logText(log: Buffer): string {
  let text = '';
  for (let at = 0; at + 8 <= log.length;) {
    const end = at + 8 + log.readUInt32BE(at + 4);
    text += log.toString('utf8', at + 8, end);
    at = end;
  }
  return text;
}
