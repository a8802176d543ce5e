/** The process that one part of the engine suite has for itself: runs it, and tells its parent. */
import { classicLevelStore } from './engine-classic-level.js';
import { EnginePart, type Figure, type PartName, type Sizes } from './engine-parts.js';
import { quorateStore } from './engine-quorate.js';

export interface PartOrder {
  readonly store: string;
  readonly part: PartName;
  readonly directory: string;
  readonly sizes: Sizes;
}

export type PartReport =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'figures'; readonly figures: readonly Figure[] };

const { store, part, directory, sizes } = JSON.parse(process.argv[2]) as PartOrder;
const type = [quorateStore, classicLevelStore].find(({ name }) => name === store);
if (type === undefined) throw new Error(`there is no store ${store}`);
const tell = (report: PartReport): void => void process.send?.(report);
const figures = await new EnginePart({ type, part, directory, sizes }, (text) =>
  tell({ type: 'progress', text }),
).run();
tell({ type: 'figures', figures });
process.disconnect();
