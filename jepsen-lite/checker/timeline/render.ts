/** The timeline of a failure as a page of HTML that needs nothing else. */
import type { Failure } from '../check.js';
import type { Model } from '../model.js';
import { chart } from './chart.js';
import { describePossibleStates } from './describe-failure.js';
import { escapeHtml } from './escape.js';
import { layOut, shorten, type TimelineLayout } from './layout.js';
import { placePath, type TimelinePath } from './path.js';
import { style } from './style.js';

export interface TimelineOptions<State, Input, Output> {
  readonly model: Model<State, Input, Output>;
  readonly failure: Failure<State, Input, Output>;
  /** Where the history comes from, for the head of the page. */
  readonly title: string;
}

/** The page: what went wrong in a sentence, the picture, details of the operation under the pointer, a table. */
export function renderTimeline<State, Input, Output>(options: TimelineOptions<State, Input, Output>): string {
  const { model, failure, title } = options;
  const layout = layOut(model, failure);
  const paths = failure.attempts.map((attempt) => placePath(model, attempt, layout));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not linearizable: ${escapeHtml(title)}</title>
<style>${style}${choiceRules(paths.length)}
${detailRules(layout)}
</style>
</head>
<body>
${head(options, layout)}
${paths.map((_, index) => choiceInput(index)).join('\n')}
<div class="orders"><span class="faint">Show the order that ends in</span>
${paths.map((path, index) => choiceLabel(path, index)).join('\n')}
</div>
${chart(model, failure, layout, paths)}
${legend}
<section class="details" aria-live="polite">
<p class="hint faint">Point at an operation, or move to it with Tab, to see its times and when each order lets it take effect.</p>
${layout.bars.map((bar) => detail(options, paths, bar.operation)).join('\n')}
</section>
<h2>The operations, in order of calls</h2>
${table(options, layout, paths)}
</body>
</html>
`;
}

function head<State, Input, Output>(
  { model, failure, title }: TimelineOptions<State, Input, Output>,
  layout: TimelineLayout,
): string {
  const stuck = failure.operations[failure.stuck];
  const states = describePossibleStates(model, failure).map((state) => `<code>${escapeHtml(state)}</code>`);
  const object = failure.key === undefined ? `one ${model.name}` : `key ${JSON.stringify(failure.key)}, ${model.name}`;
  const hidden =
    layout.hiddenCount === 0
      ? ''
      : `<p class="faint">Not drawn: ${countOf(layout.hiddenCount)} from earlier, which every order explains or leaves open.</p>`;
  return `<header>
<h1>Not linearizable</h1>
<p class="faint">${escapeHtml(title)} · ${escapeHtml(object)} · ${countOf(failure.operations.length)} until it went wrong</p>
<p>Client ${stuck.client} saw <code class="stuck-text">${escapeHtml(
    shorten(model.describeOperation(stuck.input, stuck.output), 300),
  )}</code>, and no order of the operations explains that.
Every order that explains all that had returned before leaves, at that time, ${states.join(' or ')}.</p>
${hidden}
</header>`;
}

const countOf = (operations: number): string => `${operations} ${operations === 1 ? 'operation' : 'operations'}`;

const legend = `<div class="legend">
<span><i style="background: var(--read); border-color: var(--read-edge)"></i>only looks</span>
<span><i style="background: var(--write); border-color: var(--write-edge)"></i>changes</span>
<span><i style="background: var(--write); border-color: var(--write-edge); border-style: dashed"></i>outcome unknown: may take effect later, or never</span>
<span><i style="background: var(--stuck); border-color: var(--stuck-edge)"></i>fits nowhere</span>
<span><i class="dot"></i>takes effect, in this order</span>
<span>From left to right goes the order of events, not the length of time.</span>
</div>`;

const choiceInput = (index: number): string =>
  `<input class="choice" type="radio" name="order" id="order${index}"${index === 0 ? ' checked' : ''}>`;

const choiceLabel = (path: TimelinePath, index: number): string =>
  `<label for="order${index}"><code>${escapeHtml(shorten(path.finalState, 48))}</code></label>`;

/** Shows the path of the chosen order and marks its label. */
function choiceRules(count: number): string {
  const rules: string[] = [];
  for (let index = 0; index < count; index++) {
    rules.push(
      `#order${index}:checked ~ .chart .path${index} { display: inline; }`,
      `#order${index}:checked ~ .orders label[for=order${index}] { border-color: var(--path); box-shadow: inset 0 0 0 1px var(--path); }`,
      `#order${index}:focus-visible ~ .orders label[for=order${index}] { outline: 2px solid var(--read-edge); outline-offset: 2px; }`,
    );
  }
  return rules.join('\n');
}

/** Shows the details of the operation that is pointed at or focused, instead of the hint. */
function detailRules(layout: TimelineLayout): string {
  const rules = layout.bars.map(({ operation }) => {
    const pointedAt = (target: string): string =>
      `body:has(#bar${operation}:hover) ${target}, body:has(#bar${operation}:focus):not(:has(.bar:hover)) ${target}`;
    return `${pointedAt(`#detail${operation}`)} { display: grid; }`;
  });
  return `${rules.join('\n')}\nbody:has(.bar:hover, .bar:focus) .hint { display: none; }`;
}

function detail<State, Input, Output>(
  { model, failure }: TimelineOptions<State, Input, Output>,
  paths: readonly TimelinePath[],
  index: number,
): string {
  const operation = failure.operations[index];
  const rows: [term: string, description: string][] = [
    [`Client ${operation.client}`, model.describeOperation(operation.input, operation.output)],
    ['Called', String(operation.call)],
    ['Returned', operation.return === undefined ? 'never: outcome unknown' : String(operation.return)],
  ];
  paths.forEach((path) => {
    const point = path.points.find(({ bar }) => bar.operation === index);
    const place =
      point === undefined ? 'has no place' : `takes effect as number ${point.order}, leaves ${point.stateAfter}`;
    rows.push([`Order to ${shorten(path.finalState, 24)}`, place]);
  });
  const items = rows.map(([term, description]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(description)}</dd>`);
  return `<dl class="detail" id="detail${index}">${items.join('')}</dl>`;
}

function table<State, Input, Output>(
  { model, failure }: TimelineOptions<State, Input, Output>,
  layout: TimelineLayout,
  paths: readonly TimelinePath[],
): string {
  const orders = paths.map((path) => new Map(path.points.map(({ bar, order }) => [bar.operation, order])));
  const rows = layout.bars.map(({ operation: index }) => {
    const operation = failure.operations[index];
    const cells = [
      `<td class="number">${operation.client}</td>`,
      `<td class="mono">${escapeHtml(model.describeOperation(operation.input, operation.output))}</td>`,
      `<td class="number">${operation.call}</td>`,
      `<td class="number">${operation.return ?? 'never'}</td>`,
      ...orders.map((order) => `<td class="number">${order.get(index) ?? '–'}</td>`),
    ];
    return `<tr${index === failure.stuck ? ' class="stuck"' : ''}>${cells.join('')}</tr>`;
  });
  const columns = ['Client', 'Operation', 'Called', 'Returned'].map((name) => `<th>${name}</th>`);
  const orderColumns = paths.map(
    (path) => `<th>Order to <code>${escapeHtml(shorten(path.finalState, 16))}</code></th>`,
  );
  return `<div class="table"><table>
<thead><tr>${[...columns, ...orderColumns].join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>`;
}
